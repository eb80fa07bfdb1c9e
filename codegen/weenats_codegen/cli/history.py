"""The commands `history` and `state`: what happened to an aggregate that is kept in a stream."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import typer
from pydantic import JsonValue

from weenats.aggregates.commits import Commit, read_commit
from weenats.aggregates.errors import BrokenHistoryError
from weenats.aggregates.store import PARTITIONS, commit_stream
from weenats.codec.numbers import load_decimals
from weenats.errors import NotFoundError, ServiceError
from weenats.protocol import headers
from weenats.protocol.partitions import partition_of
from weenats.protocol.subjects import commits_of_key
from weenats.streams.settings import SERVICE
from weenats.transport.jetstream import JetStream, StreamMissingError
from weenats_codegen.cli import call
from weenats_codegen.cli.connection import connection
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.output import brief, emit, json_text, warn
from weenats_codegen.parser.diagnostics import did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

    from weenats.transport.nats import NatsTransport

_MIN_WAIT: Final = 0.001
_COLUMNS = ("revision", "time", "command", "event", "data", "by", "message")


def history(
    service: str, key: str, aggregate: str | None, servers: Sequence[str], *, as_json: bool
) -> None:
    """Print the events of a key.

    Raises:
        CliError: There are none, or the service keeps no aggregate in a stream.
    """
    found = asyncio.run(_read(service, key, aggregate, servers))
    if not found:
        others = asyncio.run(_read(service, key, None, servers)) if aggregate is not None else []
        hint = did_you_mean(aggregate or "", [name for name, _ in others], "")
        raise CliError(f"no events for key {key} in {service}{hint and f'; {hint}'}")
    rows = [row for each in found for row in _rows(each)]
    emit(rows, as_json=as_json, render=lambda: _table(rows))


def state(
    arguments: call.Arguments,
    servers: Sequence[str],
    *,
    revision: int | None,
    time: str | None,
    as_json: bool,
) -> None:
    """Print the state of a key, which the running service makes of its events.

    Raises:
        CliError: The service replied with an error, has no query `get`, or is asked for an earlier
            state of an aggregate that it does not keep in a stream.
    """
    lines: dict[str, str] = {}
    if revision is not None and time is not None:
        raise typer.BadParameter("--revision and --time cannot be used together")
    if revision is not None:
        lines[headers.AT_REVISION] = str(revision)
    if time is not None:
        lines[headers.AT_TIME] = _moment(time)
    if lines:
        deadline = monotonic() + arguments.timeout
        asyncio.run(_check_kept(arguments, servers))
        arguments = replace(arguments, timeout=max(deadline - monotonic(), _MIN_WAIT))
    try:
        call.call(replace(arguments, headers=lines), servers, as_json=as_json)
    except call.SeveralOperationsError as error:
        raise CliError(f"{error}; choose one with --aggregate NAME") from None


async def _check_kept(arguments: call.Arguments, servers: Sequence[str]) -> None:
    """Refuse an aggregate that handlers keep: they would answer its present state."""
    found: dict[str, bool] = {}
    async with connection(servers, arguments.timeout) as transport:
        with suppress(CliError):  # not everyone may read the contract: the service decides
            found = await call.aggregates_kept(transport, arguments.service, arguments.timeout)
    name = arguments.operation.rpartition(".")[0]
    asked = {each: is_kept for each, is_kept in found.items() if name in {"", each}}
    if asked and not any(asked.values()):
        raise CliError(
            f"{arguments.service} does not keep {name or ' or '.join(asked)} in a stream:"
            " only the present state is known; omit --revision and --time"
        )


def _moment(text: str) -> str:
    """Return a time with a time zone: that of the machine if there is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"--time is ISO 8601, such as 2026-03-01T09:30:00Z, not {text!r}"
        ) from None


async def _read(
    service: str, key: str, aggregate: str | None, servers: Sequence[str]
) -> list[tuple[str, Commit]]:
    """Return the commits of a key, with the name of its aggregate."""
    subject = commits_of_key(service, partition_of(key, PARTITIONS), aggregate, key)
    stream = commit_stream(service)
    found: list[tuple[str, Commit]] = []
    async with connection(servers) as transport:
        try:
            async for message in JetStream(transport).read(stream, subject):
                try:
                    found.append((message.subject.split(".")[-2], read_commit(message)))
                except BrokenHistoryError as error:  # the others tell what happened around it
                    warn(str(error))
        except (StreamMissingError, NotFoundError):
            raise CliError(
                f"{service} keeps no aggregate in a stream here: there is no stream {stream}"
                f"{await _others(transport, service)}"
            ) from None
    return found


async def _others(transport: "NatsTransport", service: str) -> str:
    """Return which services keep aggregates in streams, as the end of a message."""
    try:
        streams = await JetStream(transport).streams()
    except ServiceError:  # NATS may not permit the user to list streams
        return ""
    owners = {each.config.name: each.config.metadata.get(SERVICE) for each in streams}
    names = [own for name, own in owners.items() if own and name == commit_stream(own)]
    hint = did_you_mean(service, names, None if names else "nor does any other service")
    return f"; {hint}"


def _rows(found: tuple[str, Commit]) -> list[dict[str, JsonValue]]:
    aggregate, commit = found
    return [
        {
            "aggregate": aggregate,
            "revision": commit.first_revision + number,
            "timestamp": commit.timestamp,
            "command": commit.command,
            "event": event.name,
            "eventId": event_id,
            "data": _data(event.data),
            "principal": commit.principal,
            "messageId": commit.message_id,
            "correlationId": commit.correlation_id,
            "sequence": commit.sequence,
            "version": commit.version,
        }
        for number, (event, event_id) in enumerate(
            zip(commit.events, commit.event_ids, strict=True), 1
        )
    ]


def _data(encoded: bytes) -> JsonValue:
    """Return the data of an event; as text if it has too many numbers that are too large."""
    try:
        data: JsonValue = load_decimals(encoded)
    except ValueError:
        return encoded.decode()
    return data


def _table(rows: Sequence[Mapping[str, Any]]) -> "Table":
    from rich.table import Table

    several = len({row["aggregate"] for row in rows}) > 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("aggregate", *_COLUMNS) if several else _COLUMNS:
        # An id that is broken over two lines cannot be copied.
        table.add_column(name, overflow="fold", no_wrap=name == "message")
    for row in rows:
        values = (
            str(row["revision"]),
            row["timestamp"],
            row["command"],
            row["event"],
            json_text(row["data"]),
            row["principal"] or "",
            row["messageId"],
        )
        shown = (row["aggregate"], *values) if several else values
        table.add_row(*map(brief, shown))
    return table

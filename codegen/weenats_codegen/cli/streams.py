"""The command `streams`: the streams of a contract on the server."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast

import typer

from weenats.aggregates.aggregates import streams_of as of_aggregates
from weenats.contract import Stream
from weenats.durability import Guarantee, look_up_guarantees
from weenats.projections.overview import ProjectionState, projection_states
from weenats.streams import StreamPlan, apply_streams, plan_streams
from weenats.streams.consumer_states import ConsumerState, consumer_states
from weenats.streams.consumers import StreamConsumer
from weenats.transport.jetstream import JetStream, StreamConfig, StreamInfo
from weenats_codegen.cli.connection import connection
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.output import emit, plain
from weenats_codegen.cli.progress import lag_of, late, title_of
from weenats_codegen.ir.contract import Contract
from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import did_you_mean

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from weenats.transport.jetstream.config import Start
    from weenats.transport.nats import NatsTransport

_MAX_DIGITS: Final = 18
_NEARLY_FULL: Final = 0.9


def plan(folder: Path, servers: Sequence[str], *, as_json: bool) -> None:
    """Print what has to be done to the streams of a contract."""
    plans = asyncio.run(_plans(read(folder), servers))
    emit([_as_data(each) for each in plans], as_json=as_json, render=lambda: _shown(plans))


def apply(folder: Path, servers: Sequence[str], *, force: bool, as_json: bool) -> None:
    """Create and update the streams of a contract, and print what was done.

    Raises:
        FailedPreconditionError: Stored events would be lost, and it is not forced.
    """
    plans = asyncio.run(_apply(read(folder), servers, force=force))
    emit([_as_data(each) for each in plans], as_json=as_json, render=lambda: _shown(plans))


def status(folder: Path, servers: Sequence[str], *, as_json: bool) -> None:
    """Print what the streams of a contract hold, and how far their consumers are."""
    found = asyncio.run(_status(read(folder), servers))
    data = [each.as_data() for each in found]
    emit(data, as_json=as_json, render=lambda: _with_guarantees(found))


def replay(  # noqa: PLR0913 - the options of a user
    folder: Path,
    consumer: str,
    start: str,
    name: str | None,
    servers: Sequence[str],
    *,
    as_json: bool,
) -> None:
    """Let a durable consumer begin elsewhere, and print how far it is.

    Raises:
        CliError: There is no such consumer, or the start is not valid.
    """
    stream = stream_named(streams_of(folder), name)
    state = asyncio.run(_replay(stream, consumer, _start(start), servers))
    text = f"{consumer} begins again: {state.pending} events of {stream.name} are pending"
    emit(asdict(state), as_json=as_json, render=lambda: plain(text))


def streams_of(folder: Path) -> tuple[Stream, ...]:
    """Return the streams of a contract.

    Raises:
        CliError: It has none.
    """
    contract = read(folder)
    if not contract.streams:
        raise _none(contract)
    return runtime_streams(contract)


def _none(contract: Contract) -> CliError:
    return CliError(
        f"the contract of {contract.service} has no durable events: declare `durable: true`"
    )


def stored_streams(contract: Contract) -> tuple[StreamConfig, ...]:
    """Return the settings of the streams in which a service keeps aggregates."""
    if not contract.stored:
        return ()
    demanded = 1 if contract.durability is None else contract.durability.replicas
    replicas = max([demanded, *(each.replicas for each in contract.streams)])
    return of_aggregates(contract.service, replicas)


def runtime_streams(contract: Contract) -> tuple[Stream, ...]:
    """Return the streams of a contract as the runtime has them."""
    return tuple(
        Stream(
            name=each.name,
            service=contract.service,
            events=each.events,
            partitions=each.partitions,
            max_age=each.max_age,
            max_bytes=each.max_bytes,
            max_messages=each.max_messages,
            replicas=each.replicas,
            storage=cast("Literal['file', 'memory']", each.storage),
        )
        for each in contract.streams
    )


def stream_named(streams: Sequence[Stream], name: str | None) -> Stream:
    """Return a stream by its name, which may be left out if there is one.

    Raises:
        CliError: There is no such stream, or no name and several streams.
    """
    found = [each for each in streams if name in (None, each.name)]
    names = [each.name for each in streams]
    if name is not None and not found:
        raise CliError(f"the contract has no stream {name}; {did_you_mean(name, names)}")
    if len(found) > 1:
        known = ", ".join(names)
        raise CliError(f"the contract has several streams: choose one with --stream ({known})")
    return found[0]


async def check_consumer(transport: "NatsTransport", stream: Stream, consumer: str) -> None:
    """Check that a stream has a consumer.

    Raises:
        CliError: It has none of this name.
    """
    names = [each.name for each in await consumer_states(transport, stream)]
    if consumer not in names:
        hint = did_you_mean(consumer, names)
        raise CliError(f"the stream {stream.name} has no consumer {consumer}; {hint}")


@dataclass(frozen=True, slots=True)
class _Status:
    """What a stream holds; one of commits has neither dead letters nor consumers of its own."""

    info: StreamInfo
    dead_letters: int | None
    consumers: list[ConsumerState]
    projections: list[ProjectionState]
    kept: Guarantee

    @property
    def used(self) -> float | None:
        """The share of a limit that is used, at which new events are refused; None without one."""
        info, config = self.info, self.info.config
        counts = ((info.messages, config.max_messages), (info.bytes, config.max_bytes))
        used = [count / limit for count, limit in counts if limit]
        return max(used) if used and config.discard == "new" else None

    def as_data(self) -> dict[str, object]:
        config = self.info.config
        return {
            "stream": config.name,
            "messages": self.info.messages,
            "bytes": self.info.bytes,
            "used": self.used,
            "firstSequence": self.info.first_sequence,
            "lastSequence": self.info.last_sequence,
            "storage": config.storage,
            "replicas": config.replicas,
            "sync": self.kept.sync,
            "deadLetters": self.dead_letters,
            "consumers": [asdict(each) for each in self.consumers],
            "projections": [asdict(each) for each in self.projections],
        }


async def _plans(contract: Contract, servers: Sequence[str]) -> list[StreamPlan]:
    async with connection(servers) as transport:
        return await _planned(transport, contract)


async def _apply(contract: Contract, servers: Sequence[str], *, force: bool) -> list[StreamPlan]:
    async with connection(servers) as transport:
        plans = await _planned(transport, contract)
        await apply_streams(transport, plans, force=force)
        return plans


async def _planned(transport: "NatsTransport", contract: Contract) -> list[StreamPlan]:
    """Return what has to be done to all streams of a contract.

    Raises:
        CliError: It has none.
    """
    others = stored_streams(contract)
    streams = runtime_streams(contract) if contract.streams else ()
    if not streams and not others:
        raise _none(contract)
    return await plan_streams(transport, streams, others)


async def _status(contract: Contract, servers: Sequence[str]) -> list[_Status]:
    """Return what all streams of a contract hold.

    Raises:
        CliError: It has none.
    """
    if not contract.streams and not contract.stored:
        raise _none(contract)
    async with connection(servers) as transport:
        everything = await JetStream(transport).streams() if contract.streams else []
        streams = runtime_streams(contract)
        found = [await _status_of(transport, each, everything) for each in streams]
        return found + [
            await _status_of_stored(transport, each.name) for each in stored_streams(contract)
        ]


async def _status_of(
    transport: "NatsTransport", stream: Stream, everything: Sequence[StreamInfo]
) -> _Status:
    consumers = await consumer_states(transport, stream)
    jetstream = JetStream(transport)
    info = await jetstream.stream_info(stream.name)
    letters = await jetstream.stream_info(stream.dead_letters)
    (kept,) = await look_up_guarantees(transport, [stream.name])
    projections = await projection_states(transport, everything, stream.name)
    return _Status(info, letters.messages, consumers, projections, kept)


async def _status_of_stored(transport: "NatsTransport", name: str) -> _Status:
    info = await JetStream(transport).stream_info(name)
    (kept,) = await look_up_guarantees(transport, [name])
    return _Status(info, None, [], [], kept)


async def _replay(
    stream: Stream, consumer: str, start: "Start", servers: Sequence[str]
) -> ConsumerState:
    async with connection(servers) as transport:
        await check_consumer(transport, stream, consumer)
        part = StreamConsumer(transport, stream, consumer)
        await part.begin_again(start)
        states = await consumer_states(transport, stream)
        return next(each for each in states if each.name == consumer)


def _start(text: str) -> "Start":
    if text in {"beginning", "new"}:
        return cast("Literal['beginning', 'new']", text)
    if text.isdecimal() and len(text) <= _MAX_DIGITS and int(text) > 0:
        return int(text)
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            "--from is beginning, new, a sequence, or a time such as 2026-01-31T12:00, not"
            f" {text!r}"
        ) from None


def _as_data(plan: StreamPlan) -> dict[str, object]:
    return {
        "stream": plan.name,
        "action": plan.action,
        "changes": [asdict(each) for each in plan.changes],
    }


def _shown(plans: Sequence[StreamPlan]) -> str:
    lines: list[str] = []
    for each in plans:
        lines.append(f"{plain(each.name)}: {_ACTIONS[each.action]}")
        lines += [f"  {plain(str(change))}" for change in each.changes]
    return "\n".join(lines)


_ACTIONS = {
    "create": "[green]create[/]",
    "update": "[yellow]update[/]",
    "recreate": "[red]delete and create[/]",
    "none": "[dim]as in the contract[/]",
}


def _with_guarantees(found: Sequence[_Status]) -> "Group":
    """Return a table of the streams, and what each keeps; not its caption, which is as narrow."""
    from rich.console import Group

    lines = [plain(f"{each.info.config.name}: {each.kept}") for each in found]
    full = [
        f"{each.info.config.name}: {each.used:.0%} of its limit is used; at the limit it refuses"
        " new events"
        for each in found
        if each.used is not None and each.used >= _NEARLY_FULL
    ]
    return Group(
        _table(found),
        *(f"[dim italic]{each}[/]" for each in lines),
        *(f"[red]{plain(each)}[/]" for each in full),
    )


def _table(found: Sequence[_Status]) -> "Table":
    """Return the streams as a table, the consumers and projections of each below it."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("stream / consumer", overflow="fold")
    for title in ("events", "pending", "in work", "repeated", "late", "dead letters"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in found:
        letters = "" if each.dead_letters is None else str(each.dead_letters)
        letters = f"[red]{letters}[/]" if each.dead_letters else letters
        name = f"[bold]{plain(each.info.config.name)}[/]"
        table.add_row(name, str(each.info.messages), "", "", "", "", letters)
        for state in each.consumers:
            table.add_row(
                f"  {plain(state.name)}",
                "",
                str(state.pending),
                str(state.unacknowledged),
                str(state.redelivered),
                lag_of(state),
                "",
            )
        for view in each.projections:
            table.add_row(f"  {title_of(view)}", "", "", "", "", late(view.lag), "")
    return table

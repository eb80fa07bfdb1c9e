"""The command `dead-letters`: events that a consumer could not process."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from weenats.protocol.headers import Headers
from weenats.protocol.subjects import check_queue_group
from weenats.streams.dead_letters import DeadLetter, DeadLetters
from weenats_codegen.cli.connection import connection
from weenats_codegen.cli.output import emit, emit_value, plain
from weenats_codegen.cli.streams import stream_named, streams_of

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which dead letters a command is about.

    Attributes:
        numbers: Their numbers; none for all.
        consumer: Only those of this consumer; None for any.
        everything: Whether the user asked for all.
    """

    numbers: tuple[int, ...]
    consumer: str | None
    everything: bool


def list_letters(
    folder: Path, consumer: str | None, name: str | None, servers: Sequence[str], *, as_json: bool
) -> None:
    """Print the dead letters of a stream, without their payloads."""
    chosen = Chosen((), consumer, everything=True)
    letters = asyncio.run(_for_each(folder, name, chosen, servers, None))
    data = [_as_data(each) for each in letters]
    emit(data, as_json=as_json, render=lambda: _table(letters))


def show(
    folder: Path, number: int, name: str | None, servers: Sequence[str], *, as_json: bool
) -> None:
    """Print a dead letter with its payload.

    Raises:
        NotFoundError: There is none.
    """
    chosen = Chosen((number,), None, everything=False)
    [letter] = asyncio.run(_for_each(folder, name, chosen, servers, None))
    data = {
        **_as_data(letter),
        "headers": dict(Headers(b"NATS/1.0\r\n" + letter.headers)),
        "payload": _payload(letter),
    }
    if as_json:
        emit(data, as_json=True, render=str)
    else:
        emit_value(data)


def retry(
    folder: Path, chosen: Chosen, name: str | None, servers: Sequence[str], *, as_json: bool
) -> None:
    """Let consumers process dead letters again, and print which.

    Raises:
        NotFoundError: There is no such dead letter.
    """
    _check(chosen)
    letters = asyncio.run(_for_each(folder, name, chosen, servers, DeadLetters.retry))
    _print_done(letters, "to be processed again", as_json=as_json)


def drop(
    folder: Path, chosen: Chosen, name: str | None, servers: Sequence[str], *, as_json: bool
) -> None:
    """Remove dead letters, and print which.

    Raises:
        NotFoundError: There is no such dead letter.
    """
    _check(chosen)
    letters = asyncio.run(_for_each(folder, name, chosen, servers, DeadLetters.drop))
    _print_done(letters, "removed", as_json=as_json)


def _check(chosen: Chosen) -> None:
    if bool(chosen.numbers) == chosen.everything:
        raise typer.BadParameter(
            "use either numbers of dead letters or --all, optionally with --consumer NAME"
        )
    if chosen.numbers and chosen.consumer is not None:
        raise typer.BadParameter("--consumer needs --all")


async def _for_each(
    folder: Path,
    name: str | None,
    chosen: Chosen,
    servers: Sequence[str],
    do: Callable[[DeadLetters, DeadLetter], Awaitable[None]] | None,
) -> list[DeadLetter]:
    """Return the chosen dead letters, after something was done with each."""
    stream = stream_named(streams_of(folder), name)
    consumer = "*" if chosen.consumer is None else check_queue_group(chosen.consumer)
    async with connection(servers) as transport:
        letters = DeadLetters(transport, stream)
        found = [await letters.get(number) for number in chosen.numbers]
        if chosen.everything:
            found = [each async for each in letters.list(consumer)]
        for each in found:
            if do is not None:
                await do(letters, each)
        return found


def _print_done(letters: Sequence[DeadLetter], what: str, *, as_json: bool) -> None:
    count = f"{len(letters)} dead letter{'s' * (len(letters) != 1)}"
    data = [_as_data(each) for each in letters]
    emit(data, as_json=as_json, render=lambda: f"{count} {what}")


def _as_data(letter: DeadLetter) -> dict[str, object]:
    return {
        "number": letter.sequence,
        "consumer": letter.consumer,
        "subject": letter.subject,
        "sequence": letter.event_sequence,
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "time": letter.time,
    }


def _payload(letter: DeadLetter) -> object:
    """Return the payload as JSON, or as text if it is none."""
    from pydantic_core import from_json

    try:
        return from_json(letter.payload)
    except ValueError:
        return letter.payload.decode("utf-8", "backslashreplace")


def _table(letters: Sequence[DeadLetter]) -> "Table | str":
    if not letters:
        return "no dead letters"
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("number", justify="right")
    for title in ("consumer", "event", "reason", "error"):
        table.add_column(title, overflow="fold")
    table.add_column("attempts", justify="right")
    table.add_column("time", overflow="fold")
    for each in letters:
        table.add_row(
            str(each.sequence),
            plain(each.consumer),
            plain(each.subject.split(".", 3)[-1]),
            plain(each.reason),
            plain(each.error),
            str(each.attempts),
            plain(each.time),
        )
    return table

"""The command `dead-letters`: events that a consumer could not process."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from weenats.codec.numbers import load_decimals
from weenats.errors import FailedPreconditionError, NotFoundError, ServiceError
from weenats.protocol.headers import Headers
from weenats.streams.dead_letters import DeadLetter, DeadLetters
from weenats_codegen.cli.connection import connection
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.instances import member
from weenats_codegen.cli.output import brief, emit, emit_value, warn
from weenats_codegen.cli.streams import check_consumer, stream_named, streams_of

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


class _Done(NamedTuple):
    """With which dead letters something was done, and the error if not with all of them."""

    letters: Sequence[DeadLetter]
    error: Exception | None


def list_letters(
    folder: Path, consumer: str | None, name: str | None, servers: Sequence[str], *, as_json: bool
) -> None:
    """Print the dead letters of a stream, without their payloads."""
    chosen = Chosen((), consumer, everything=True)
    letters = asyncio.run(_read(folder, name, chosen, servers))
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
    [letter] = asyncio.run(_read(folder, name, chosen, servers))
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
        CliError: Some of them cannot be processed again.
        ServiceError: See DeadLetters.retry.
    """
    _check(chosen)
    done = asyncio.run(_do_each(folder, name, chosen, servers, DeadLetters.retry))
    _print_done(done, "to be processed again", as_json=as_json)


def drop(
    folder: Path, chosen: Chosen, name: str | None, servers: Sequence[str], *, as_json: bool
) -> None:
    """Remove dead letters, and print which.

    Raises:
        NotFoundError: There is no such dead letter.
        CliError: Somebody else has removed some of them meanwhile.
        ServiceError: See DeadLetters.drop.
    """
    _check(chosen)
    done = asyncio.run(_do_each(folder, name, chosen, servers, DeadLetters.drop))
    _print_done(done, "removed", as_json=as_json)


def _check(chosen: Chosen) -> None:
    if bool(chosen.numbers) == chosen.everything:
        raise typer.BadParameter(
            "use either numbers of dead letters or --all, optionally with --consumer NAME"
        )
    if chosen.numbers and chosen.consumer is not None:
        raise typer.BadParameter("--consumer needs --all")


async def _read(
    folder: Path, name: str | None, chosen: Chosen, servers: Sequence[str]
) -> list[DeadLetter]:
    """Return the chosen dead letters."""
    async with _letters(folder, name, chosen, servers) as (_, found):
        return found


async def _do_each(
    folder: Path,
    name: str | None,
    chosen: Chosen,
    servers: Sequence[str],
    do: Callable[[DeadLetters, DeadLetter], Awaitable[None]],
) -> _Done:
    """Do something with each of the chosen dead letters, as far as that is possible.

    What is wrong with one of them, or that somebody else has removed it, keeps none of the others.
    """
    async with _letters(folder, name, chosen, servers) as (letters, found):
        done: list[DeadLetter] = []
        for each in found:
            try:
                await do(letters, each)
            except (FailedPreconditionError, NotFoundError) as error:
                warn(str(error))
            except ServiceError as error:  # it would be the same for the others
                return _Done(done, error)
            else:
                done.append(each)
    if len(done) == len(found):
        return _Done(done, None)
    return _Done(done, CliError(f"{len(found) - len(done)} of {_count(len(found))} failed"))


@asynccontextmanager
async def _letters(
    folder: Path, name: str | None, chosen: Chosen, servers: Sequence[str]
) -> AsyncGenerator[tuple[DeadLetters, list[DeadLetter]]]:
    """Connect, and yield the dead letters of a stream and those that were chosen."""
    stream = stream_named(streams_of(folder), name)
    async with connection(servers) as transport:
        letters = DeadLetters(transport, stream)
        found = await _found(letters, chosen)
        if chosen.consumer is not None and not found:
            await check_consumer(transport, stream, chosen.consumer)
        yield letters, found


async def _found(letters: DeadLetters, chosen: Chosen) -> list[DeadLetter]:
    if chosen.everything:
        return [
            each async for each in letters.list("*" if chosen.consumer is None else chosen.consumer)
        ]
    return [await letters.get(number) for number in dict.fromkeys(chosen.numbers)]


def _print_done(done: _Done, what: str, *, as_json: bool) -> None:
    letters, error = done
    if letters or error is None or as_json:
        data = [_as_data(each) for each in letters]
        emit(data, as_json=as_json, render=lambda: f"{_count(len(letters))} {what}")
    if error is not None:
        raise error


def _count(number: int) -> str:
    return f"{number} dead letter{'s' * (number != 1)}"


def _as_data(letter: DeadLetter) -> dict[str, object]:
    return {
        "number": letter.sequence,
        "consumer": letter.consumer,
        "subject": letter.subject,
        "key": _key(letter),
        "sequence": letter.event_sequence,
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "time": letter.time,
    }


def _payload(letter: DeadLetter) -> object:
    """Return the payload as JSON with all digits of its numbers, or as text if it is none."""
    try:
        return load_decimals(letter.payload)
    except ValueError:
        return letter.payload.decode("utf-8", "backslashreplace")


def _key(letter: DeadLetter) -> str | None:
    """Return the key of the aggregate of an event, None if it has none or it is not known."""
    try:
        key = member(member(load_decimals(letter.payload), "aggregate"), "key")
    except ValueError:
        return None
    return key if isinstance(key, str) else None


def _table(letters: Sequence[DeadLetter]) -> "Table | str":
    if not letters:
        return "no dead letters"
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("number", justify="right")
    for title in ("consumer", "event", "key", "reason", "error"):
        table.add_column(title, overflow="fold")
    table.add_column("attempts", justify="right")
    table.add_column("time", overflow="fold")
    for each in letters:
        table.add_row(
            str(each.sequence),
            brief(each.consumer),
            brief(each.subject.split(".", 3)[-1]),
            brief(_key(each) or ""),
            brief(each.reason),
            brief(each.error),
            str(each.attempts),
            brief(each.time),
        )
    return table

"""The command `rebuild`: builds a projection anew beside the view that is read, and swaps them."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from weenats.errors import ServiceError
from weenats.projections import GenerationStatus, Projection
from weenats.projections.builder import Progress, ProjectionBuilder
from weenats.projections.status import projection_status, unsent
from weenats.transport.nats import NatsTransport
from weenats_codegen.cli.connection import connection
from weenats_codegen.cli.output import emit, plain, warn
from weenats_codegen.cli.targets import projection_of, user_error

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = ("generation", "version", "state", "position", "lag", "unsent")
_REPORT: Final = 2.0
"""Seconds between two lines about the progress."""


def rebuild(target: str, servers: Sequence[str], *, grace: float, as_json: bool) -> None:
    """Build a new generation of MODULE:PROJECTION, make it the live one, and remove the old one.

    Raises:
        CliError: The target is not a projection, a handler fails, or no server is available.
    """
    projection = projection_of(target)
    number, removed = asyncio.run(_rebuild(projection, servers, grace))
    found = {"projection": projection.name, "generation": number, "removed": removed}
    gone = f"; removed: {', '.join(map(str, removed))}" if removed else ""
    text = f"{plain(projection.name)}: generation {number} is live{gone}"
    emit(found, as_json=as_json, render=lambda: text)


def status(target: str, servers: Sequence[str], *, as_json: bool) -> None:
    """Print the generations of MODULE:PROJECTION.

    Raises:
        CliError: The target is not a projection, or no server is available.
    """
    projection = projection_of(target)

    async def read() -> tuple[list[GenerationStatus], int | None]:
        async with connection(servers) as transport:
            found = await projection_status(projection, transport)
            return found, await unsent(projection, transport)

    found, waiting = asyncio.run(read())
    rows = [{**asdict(each), "generation": each.number, "unsent": waiting} for each in found]
    rows = [{name: row[name] for name in _COLUMNS} for row in rows]
    emit(rows, as_json=as_json, render=lambda: _table(rows))


async def _rebuild(
    projection: Projection[Any], servers: Sequence[str], grace: float
) -> tuple[int, list[int]]:
    async with connection(servers) as transport:
        try:
            return await _build(projection, transport, grace)
        except ServiceError:
            raise
        except Exception as error:
            raise user_error(f"the projection {projection.name}", error) from error


async def _build(
    projection: Projection[Any], transport: NatsTransport, grace: float
) -> tuple[int, list[int]]:
    builder = ProjectionBuilder(projection, transport)
    await builder.create()
    number = await builder.build(_Reporter(projection.name), grace)
    return number, await builder.remove_outdated(grace)


class _Reporter:
    """Writes the progress to standard error, now and then."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = monotonic() + _REPORT

    def __call__(self, progress: Progress) -> None:
        if monotonic() >= self._next:
            self._next = monotonic() + _REPORT
            what = f"{self._name}, generation {progress.generation}"
            if progress.position is None:
                warn(f"{what}: another instance builds it, or has ended just now; waiting")
            else:
                warn(f"{what}: at event {progress.position}, {progress.pending} to go")


def _table(rows: list[dict[str, Any]]) -> "Table | str":
    if not rows:
        return "it was never built"
    from rich.table import Table

    table = Table(*_COLUMNS, box=None)
    for row in rows:
        values = (row[name] for name in _COLUMNS)
        table.add_row(*("unknown" if each is None else str(each) for each in values))
    return table

"""The command `health`: whether the instances of a service are ready, for people and probes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from weenats.discovery import check_health, list_stats
from weenats.errors import ServiceError
from weenats.protocol.messages import HealthCheckData
from weenats.protocol.subjects import SubjectError
from weenats.protocol.timeouts import seconds
from weenats_codegen.cli.connection import connection
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.instances import (
    is_ready,
    not_running,
    reported_health,
    trouble,
    warn_once,
)
from weenats_codegen.cli.output import MAX_ROWS, brief, emit, more
from weenats_codegen.parser.diagnostics import did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

    from weenats.transport.nats import NatsTransport


@dataclass(frozen=True, slots=True)
class Health:
    """The health of one instance.

    Attributes:
        service: The name of its service.
        version: The version of its service.
        instance: Its id.
        data: What it reports, None if it does not report its health.
    """

    service: str
    version: str
    instance: str
    data: HealthCheckData | None


def health(
    service: str, instance: str | None, servers: Sequence[str], *, timeout: float, as_json: bool
) -> None:
    """Print the health of all instances of a service, or of one.

    Raises:
        CliError: An instance is not ready, or there is none.
    """
    found = asyncio.run(find_health(service, instance, servers, timeout))
    emit([_as_data(each) for each in found], as_json=as_json, render=lambda: _rendered(found))
    unready = [each for each in found if not is_ready(each.data)]
    if unready:
        which = f"{len(unready)} of {len(found)} instances of {service} are"
        if instance is not None:
            which = f"instance {instance} of {service} is"
        raise CliError(f"{which} not ready")


async def find_health(
    service: str, instance: str | None, servers: Sequence[str], timeout: float
) -> list[Health]:
    """Request the health of the instances of a service from their statistics.

    Raises:
        CliError: There is no such service or instance.
    """
    deadline = monotonic() + seconds(timeout)
    async with connection(servers, timeout) as transport:
        left = max(deadline - monotonic(), 0.001)
        stats = await list_stats(transport, service, timeout=left, on_invalid=warn_once())
        if not stats:
            raise await not_running(transport, service)
        found = [
            Health(each.name, each.version, each.id, reported_health(each))
            for each in stats
            if instance in (None, each.id)
        ]
        if not found:
            hint = did_you_mean(instance or "", [each.id for each in stats])
            raise CliError(f"no instance of {service} has the id {instance}; {hint}")
        if len(found) == len(stats) == 1 and found[0].data is None:
            found = [await _asked(transport, found[0], max(deadline - monotonic(), 0.001))]
        return found


async def _asked(transport: "NatsTransport", health: Health, timeout: float) -> Health:
    """Ask the only instance of a service on `{service}.health`, if its statistics do not say."""
    try:
        answer = await check_health(transport, health.service, timeout=timeout)
    except (ServiceError, SubjectError):
        return health
    data = answer.data or HealthCheckData(checks=[])
    data = data.model_copy(update={"ready": answer.status == "ok"})
    return Health(answer.name, answer.version, answer.id, data)


def _as_data(health: Health) -> dict[str, object]:
    data = health.data
    return {
        "service": health.service,
        "version": health.version,
        "instance": health.instance,
        "ready": None if data is None else data.ready is True,
        "health": None if data is None else data.model_dump(mode="json", by_alias=True),
    }


def _rendered(found: Sequence[Health]) -> "Table":
    """Return the instances as a table, the checks of each below it."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for each in found:
        name = f"[bold]{brief(each.service)}[/] [dim]{brief(each.instance)}[/]"
        if each.data is None:
            table.add_row(name, "[yellow]unknown: it does not report its health[/]")
            continue
        state = "[green]ready[/]"
        if not is_ready(each.data):
            state = f"[red]{brief(trouble(each.data) or 'not ready')}[/]"
        table.add_row(name, state)
        for check in each.data.checks[:MAX_ROWS]:
            text = check.message if isinstance(check.message, str) else check.status
            color = "green" if check.status == "ok" else "red"
            table.add_row(f"  {brief(check.name)}", f"[{color}]{brief(text)}[/]")
        if rest := more(len(each.data.checks)):
            table.add_row(rest)
    return table

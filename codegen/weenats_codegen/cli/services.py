"""The command `services`: every running instance and its statistics."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from weenats.discovery import get_service_info, get_service_stats, list_instances
from weenats.errors import DeadlineExceededError, InternalError, UnavailableError
from weenats_codegen.cli.connection import connection, warn_of_differences
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.output import emit, milliseconds, plain, warn

if TYPE_CHECKING:
    from rich.table import Table

    from weenats.protocol.messages import InfoResponse, PingResponse, StatsResponse
    from weenats.transport.nats import NatsTransport

Instance = tuple["InfoResponse", "StatsResponse"]


def services(service: str | None, servers: Sequence[str], *, as_json: bool) -> None:
    """Print the running instances of all services, or of one.

    Raises:
        CliError: The requested service is not running.
    """
    instances = asyncio.run(find_instances(service, servers))
    is_missing = service is not None and not instances
    if as_json or not is_missing:
        data = [_as_data(each) for each in instances]
        emit(data, as_json=as_json, render=lambda: _rendered(instances))
    if is_missing:
        raise CliError(f"no instance of {service} is running")


async def find_instances(service: str | None, servers: Sequence[str]) -> list[Instance]:
    """Request INFO and STATS from every instance; warn of those that do not reply."""
    async with connection(servers) as transport:
        instances = await list_instances(transport, service)
        warn_of_differences(instances)
        found = await asyncio.gather(*(_describe(transport, each) for each in instances))
    return [each for each in found if each is not None]


async def _describe(transport: "NatsTransport", instance: "PingResponse") -> Instance | None:
    """Request INFO and STATS from one instance, which may have stopped or not support them."""
    try:
        return (
            await get_service_info(transport, instance.name, instance.id),
            await get_service_stats(transport, instance.name, instance.id),
        )
    except (UnavailableError, DeadlineExceededError, InternalError) as error:
        warn(f"{instance.name} {instance.id} does not answer: {error}")
        return None


def _as_data(instance: Instance) -> dict[str, object]:
    """Return an instance as JSON: INFO, with the STATS of each endpoint added."""
    info, stats = (
        part.model_dump(mode="json", by_alias=True, exclude={"type"}) for part in instance
    )
    counted = {endpoint["subject"]: endpoint for endpoint in stats["endpoints"]}
    endpoints = [
        {**endpoint, **counted.get(endpoint["subject"], {})} for endpoint in info["endpoints"]
    ]
    return {**info, "started": stats["started"], "endpoints": endpoints}


def _rendered(instances: Sequence[Instance]) -> "Table | str":
    """Return the instances as a table, the operations of each below it."""
    if not instances:
        return "no service is running"
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("service / operation", overflow="fold")
    for title in ("requests", "errors", "average"):
        table.add_column(title, justify="right", no_wrap=True)
    for info, stats in instances:
        name = f"[bold]{plain(info.name)}[/] {plain(info.version)}"
        table.add_row(f"{name}  [dim]{plain(info.id)}[/]")
        for each in stats.endpoints:
            errors = f"[red]{each.num_errors}[/]" if each.num_errors else "0"
            average = milliseconds(each.average_processing_time) if each.num_requests else ""
            table.add_row(f"  {plain(each.name)}", str(each.num_requests), errors, average)
    return table

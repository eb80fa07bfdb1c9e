"""The verb `services`: every running instance and what it has counted."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from weenats.discovery import get_service_info, get_service_stats, list_instances
from weenats.errors import DeadlineExceededError, InternalError, UnavailableError
from weenats_codegen.cli.agreement import warn_of_differences
from weenats_codegen.cli.arguments import service_name
from weenats_codegen.cli.connection import connection
from weenats_codegen.cli.errors import VerbError
from weenats_codegen.cli.output import emit, milliseconds, plain, warn

if TYPE_CHECKING:
    from rich.table import Table

    from weenats.protocol.messages import InfoResponse, PingResponse, StatsResponse
    from weenats.transport.nats import NatsTransport

Found = tuple["InfoResponse", "StatsResponse"]


def services(service: str | None, servers: Sequence[str], *, as_json: bool) -> None:
    """Show the running instances of all services, or of one.

    Raises:
        VerbError: the one that was asked for does not run.
    """
    if service is not None:
        service_name(service)
    found = asyncio.run(look(service, servers))
    is_missing = service is not None and not found
    if as_json or not is_missing:
        emit([as_data(each) for each in found], as_json=as_json, person=lambda: drawn(found))
    if is_missing:
        raise VerbError(f"no instance of {service} is running")


async def look(service: str | None, servers: Sequence[str]) -> list[Found]:
    """Ask every instance for INFO and STATS."""
    async with connection(servers) as transport:
        instances = await list_instances(transport, service)
        warn_of_differences(instances)
        told = await asyncio.gather(*(_ask(transport, instance) for instance in instances))
    return [found for found in told if found is not None]


async def _ask(transport: "NatsTransport", instance: "PingResponse") -> Found | None:
    """Ask one instance; it may have ended meanwhile, or be of a make that tells nothing."""
    try:
        return (
            await get_service_info(transport, instance.name, instance.id),
            await get_service_stats(transport, instance.name, instance.id),
        )
    except (UnavailableError, DeadlineExceededError, InternalError) as error:
        warn(f"{instance.name} {instance.id} does not answer: {error}")
        return None


def as_data(found: Found) -> dict[str, object]:
    """One instance as JSON: INFO, and beside each endpoint its STATS."""
    info, stats = (part.model_dump(mode="json", by_alias=True, exclude={"type"}) for part in found)
    counted = {endpoint["subject"]: endpoint for endpoint in stats["endpoints"]}
    endpoints = [
        {**endpoint, **counted.get(endpoint["subject"], {})} for endpoint in info["endpoints"]
    ]
    return {**info, "started": stats["started"], "endpoints": endpoints}


def drawn(found: Sequence[Found]) -> "Table | str":
    """The instances as a table, the operations of each below it."""
    if not found:
        return "no service is running"
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("service / operation", overflow="fold")
    for title in ("requests", "errors", "average"):
        table.add_column(title, justify="right", no_wrap=True)
    for info, stats in found:
        who = f"[bold]{plain(info.name)}[/] {plain(info.version)}"
        table.add_row(f"{who}  [dim]{plain(info.id)}[/]")
        for each in stats.endpoints:
            errors = f"[red]{each.num_errors}[/]" if each.num_errors else "0"
            average = milliseconds(each.average_processing_time) if each.num_requests else ""
            table.add_row(f"  {plain(each.name)}", str(each.num_requests), errors, average)
    return table

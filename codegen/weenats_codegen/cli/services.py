"""The command `services`: every running instance and its statistics."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

from weenats.discovery import InvalidReplyError, list_infos, list_instances, list_stats
from weenats.errors import InternalError
from weenats.protocol.messages import (
    EndpointInfo,
    EndpointStats,
    InfoResponse,
    PingResponse,
    StatsResponse,
)
from weenats_codegen.cli.connection import connection, warn_of_differences
from weenats_codegen.cli.instances import (
    is_ejected,
    not_running,
    reported_health,
    trouble,
    warn_once,
)
from weenats_codegen.cli.output import MAX_ROWS, brief, emit, milliseconds, more, warn

if TYPE_CHECKING:
    from rich.table import Table

    from weenats_codegen.cli.errors import CliError

ReplyT = TypeVar("ReplyT", PingResponse, InfoResponse, StatsResponse)


@dataclass(frozen=True, slots=True)
class Instance:
    """One running instance.

    Attributes:
        identity: One of its replies.
        info: Its description, None if it sent none that is valid.
        stats: Its statistics, None if it sent none that are valid.
    """

    identity: PingResponse | InfoResponse | StatsResponse
    info: InfoResponse | None
    stats: StatsResponse | None


def services(service: str | None, servers: Sequence[str], *, as_json: bool) -> None:
    """Print the running instances of all services, or of one.

    Raises:
        CliError: The requested service is not running.
    """
    instances, missing = asyncio.run(find_instances(service, servers))
    if as_json or missing is None:
        data = [_as_data(each) for each in instances]
        emit(data, as_json=as_json, render=lambda: _rendered(instances))
    if missing is not None:
        raise missing


async def find_instances(
    service: str | None, servers: Sequence[str]
) -> tuple[list[Instance], "CliError | None"]:
    """Request PING, INFO and STATS from all instances; warn of replies that are missing or invalid.

    Returns:
        The instances, and the error if the requested service has none.
    """
    on_invalid = warn_once()
    invalid: dict[str, set[tuple[str, str]]] = {"INFO": set(), "STATS": set()}

    def on_invalid_reply_to(verb: str) -> Callable[[InternalError], None]:
        def report(error: InternalError) -> None:
            on_invalid(error)
            if isinstance(error, InvalidReplyError):
                invalid[verb].add((error.service, error.instance_id))

        return report

    async with connection(servers) as transport:
        pings, infos, stats = await asyncio.gather(
            list_instances(transport, service, on_invalid=on_invalid),
            list_infos(transport, service, on_invalid=on_invalid_reply_to("INFO")),
            list_stats(transport, service, on_invalid=on_invalid_reply_to("STATS")),
        )
        found = _joined(pings, infos, stats)
        _warn_of_silence(found, invalid)
        missing = None
        if service is not None and not found:
            missing = await not_running(transport, service)
    warn_of_differences(pings)
    return found, missing


def _joined(
    pings: Sequence[PingResponse], infos: Sequence[InfoResponse], stats: Sequence[StatsResponse]
) -> list[Instance]:
    greeted, described, counted = _by_instance(pings), _by_instance(infos), _by_instance(stats)
    found: list[Instance] = []
    for key in sorted({*greeted, *described, *counted}):
        # Usually one of each. Other parties may answer with the id of an instance.
        replies = zip_longest(greeted.get(key, ()), described.get(key, ()), counted.get(key, ()))
        for ping, info, statistics in replies:
            identity = ping or info or statistics
            found.append(Instance(identity, info, statistics))
    return found


def _warn_of_silence(
    instances: Sequence[Instance], invalid: Mapping[str, Collection[tuple[str, str]]]
) -> None:
    """Warn of instances that did not answer; those whose answers are invalid were reported."""
    for each in instances:
        key = each.identity.name, each.identity.id
        silent = [
            verb
            for verb, reply in (("INFO", each.info), ("STATS", each.stats))
            if reply is None and key not in invalid[verb]
        ]
        if silent:
            warn(f"{' '.join(key)} does not answer: no reply to {' and '.join(silent)}")


def _by_instance(replies: Sequence[ReplyT]) -> dict[tuple[str, str], list[ReplyT]]:
    found: dict[tuple[str, str], list[ReplyT]] = {}
    for each in replies:
        found.setdefault((each.name, each.id), []).append(each)
    return found


def _as_data(instance: Instance) -> dict[str, object]:
    """Return an instance as JSON: INFO, with the STATS of each endpoint added."""
    identity, stats = instance.identity, instance.stats
    health = None if stats is None else reported_health(stats)
    about = identity if instance.info is None else instance.info
    data: dict[str, object] = {
        "description": None,
        **about.model_dump(mode="json", by_alias=True, exclude={"type", "started", "data"}),
        "started": None if stats is None else stats.started,
        "health": None if health is None else health.model_dump(mode="json", by_alias=True),
    }
    endpoints: list[EndpointInfo | EndpointStats] = []
    endpoints += [] if instance.info is None else instance.info.endpoints
    endpoints += [] if stats is None else stats.endpoints
    merged: dict[tuple[str, str], dict[str, object]] = {}
    for endpoint in endpoints:
        described = merged.setdefault((endpoint.subject, endpoint.name), {})
        described |= endpoint.model_dump(mode="json", by_alias=True)
    return {**data, "endpoints": [*merged.values()]}


def _label(endpoint: EndpointStats, names: Mapping[str, int]) -> str:
    """Return the name of an endpoint, with its aggregate where the name alone is not unique."""
    aggregate = endpoint.subject.split(".")[2:-1]
    is_unique = names[endpoint.name] == 1
    return endpoint.name if is_unique else ".".join([*aggregate, endpoint.name])


def _rendered(instances: Sequence[Instance]) -> "Table | str":
    """Return the instances as a table, the operations of each below it."""
    if not instances:
        return "no service is running"
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("service / operation", overflow="fold")
    for title in ("requests", "errors", "average"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in instances:
        identity, stats = each.identity, each.stats
        name = f"[bold]{brief(identity.name)}[/] {brief(identity.version)}"
        table.add_row(f"{name}  [dim]{brief(identity.id)}[/]")
        if stats is None:
            continue
        health = reported_health(stats)
        if text := trouble(health):
            table.add_row(f"  [{'red' if is_ejected(health) else 'yellow'}]{brief(text)}[/]")
        names = Counter(endpoint.name for endpoint in stats.endpoints)
        for endpoint in stats.endpoints[:MAX_ROWS]:
            failed = endpoint.num_errors
            errors = f"[red]{failed}[/]" if failed else "0"
            average = endpoint.average_processing_time
            shown = milliseconds(average) if endpoint.num_requests else ""
            label = brief(_label(endpoint, names))
            table.add_row(f"  {label}", str(endpoint.num_requests), errors, shown)
        if text := more(len(stats.endpoints)):
            table.add_row(text)
    return table

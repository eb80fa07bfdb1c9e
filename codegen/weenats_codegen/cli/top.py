"""The command `top`: live statistics of the running instances, and of durable consumers."""

import asyncio
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from typing_extensions import TypeIs

from weenats.discovery import OnInvalid, list_stats
from weenats.errors import UnavailableError
from weenats.protocol.messages import MonitoringRequests, MonitoringSnapshot, StatsResponse
from weenats_codegen.cli.connection import connection
from weenats_codegen.cli.instances import (
    is_ejected,
    member,
    not_running,
    reported_health,
    warn_once,
)
from weenats_codegen.cli.output import brief, console, discard, emit_line, warn
from weenats_codegen.cli.top_consumers import Consumers, ConsumerWatch, as_data, as_table

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from weenats.transport.nats import NatsTransport

_ID_LENGTH = 9
_SIGNALS = ("SIGTERM", "SIGHUP")
_MAX_COUNT = 2**63
"""What services count is less; they may report anything in `data`."""
_BREAKER_STYLES = {"open": "red", "half-open": "yellow", "closed": "green"}
"""The states of a circuit breaker, the worst one first, and their colors."""


@dataclass(frozen=True, slots=True)
class Poll:
    """The statistics of all instances, and when they were requested, on the monotonic clock."""

    time: float
    answers: dict[tuple[str, str], list[StatsResponse]]
    """By name and id. Of several answers with one id, all but one come from other parties."""
    consumers: Consumers = field(default_factory=Consumers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one instance does; None is unknown.

    Rates are per second, percentiles in milliseconds.
    """

    service: str
    version: str
    instance: str
    rate: float | None
    error_rate: float | None
    p50: float | None
    p99: float | None
    in_flight: int | None
    queued: int | None
    circuit_breaker: str | None
    refusals: int | None
    ready: bool | None
    ejected: bool | None


Show = Callable[[list[Measurement], Consumers], None]


def top(
    service: str | None, servers: Sequence[str], *, interval: float, once: bool, as_json: bool
) -> None:
    """Show what the instances of all services do, or of one, until Ctrl-C."""
    try:
        with screen(as_json=as_json) as show:
            asyncio.run(watch(service, servers, show, interval=interval, once=once))
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # standard output was closed, for example by `head`
        discard()


async def watch(
    service: str | None, servers: Sequence[str], show: Show, *, interval: float, once: bool
) -> None:
    """Poll all instances at an interval and show the differences.

    A service may stop and start again meanwhile, but has to be known at the first poll.

    Args:
        service: The service, None for all.
        servers: The URLs of the NATS servers.
        show: Called after each poll.
        interval: Seconds between polls.
        once: Whether to end after one interval.

    Raises:
        CliError: The service is not running, and has no durable consumers.
    """
    on_invalid = warn_once()
    is_out = False
    async with connection(servers) as transport:
        consumers = ConsumerWatch(transport, service)
        before = await poll(transport, service, consumers, on_invalid)
        if service is not None and not before.answers and not before.consumers:
            raise await not_running(transport, service)
        if not once:
            show(measure(before, None), before.consumers)
        while True:
            await asyncio.sleep(max(before.time + interval - monotonic(), 0))
            try:
                now = await poll(transport, service, consumers, on_invalid)
            except UnavailableError as error:
                if once:
                    raise
                if not is_out:  # an outage is reported once, not at each interval
                    is_out = True
                    warn(str(error))
                await asyncio.sleep(interval)
                continue
            is_out = False
            show(measure(now, before), now.consumers)
            if once:
                return
            before = now


async def poll(
    transport: "NatsTransport",
    service: str | None,
    consumers: ConsumerWatch,
    on_invalid: OnInvalid | None = None,
) -> Poll:
    """Request the statistics of all instances, and how far the consumers are."""
    time = monotonic()
    answers, states = await asyncio.gather(
        list_stats(transport, service, on_invalid=on_invalid), consumers.look()
    )
    found: dict[tuple[str, str], list[StatsResponse]] = {}
    for each in answers:
        found.setdefault((each.name, each.id), []).append(each)
    return Poll(time, found, states)


def measure(now: Poll, before: Poll | None) -> list[Measurement]:
    """Return what each instance does.

    Args:
        now: The last poll.
        before: The poll before it; without one, rates are those that the instances report.
    """
    return [_measurement(stats, now, before) for same in now.answers.values() for stats in same]


def _measurement(stats: StatsResponse, now: Poll, before: Poll | None) -> Measurement:
    requests = _monitored_requests(stats)
    rate, error_rate = _rates(stats, now, before)
    states = _reported(stats, "circuitBreaker", "state")
    refused = [each for each in _reported(stats, "rateLimit", "refused") if _is_count(each)]
    health = reported_health(stats)
    return Measurement(
        service=stats.name,
        version=stats.version,
        instance=stats.id,
        rate=requests.rate if rate is None and requests is not None else rate,
        error_rate=error_rate,
        p50=None if requests is None else requests.p50,
        p99=None if requests is None else requests.p99,
        in_flight=None if requests is None else requests.in_flight,
        queued=None if requests is None else requests.queued,
        circuit_breaker=next((state for state in _BREAKER_STYLES if state in states), None),
        refusals=sum(refused) if refused else None,
        ready=None if health is None else health.ready is True,
        ejected=None if health is None else is_ejected(health),
    )


def _is_count(value: object) -> TypeIs[int]:
    return type(value) is int and 0 <= value < _MAX_COUNT


def _monitored_requests(stats: StatsResponse) -> MonitoringRequests | None:
    """Return what an instance with monitoring reports of its requests."""
    try:
        return MonitoringSnapshot.model_validate(member(stats.data, "monitoring")).requests
    except ValidationError:
        return None


def _rates(
    stats: StatsResponse, now: Poll, before: Poll | None
) -> tuple[float | None, float | None]:
    """Return requests and errors per second; None if they cannot be compared."""
    if before is None or now.time <= before.time:
        return None, None
    key = stats.name, stats.id
    former = before.answers.get(key, [])
    if len(former) != 1 or len(now.answers[key]) != 1:
        return None, None
    (earlier,) = former
    elapsed = now.time - before.time
    requests = sum(each.num_requests for each in stats.endpoints)
    errors = sum(each.num_errors for each in stats.endpoints)
    requests -= sum(each.num_requests for each in earlier.endpoints)
    errors -= sum(each.num_errors for each in earlier.endpoints)
    if requests < 0 or errors < 0:
        return None, None  # the counters were reset, which services of others may do
    return round(requests / elapsed, 3), round(errors / elapsed, 3)


def _reported(stats: StatsResponse, feature: str, name: str) -> list[object]:
    """Return what the endpoints report of a feature; services of others may report anything."""
    return [member(member(endpoint.data, feature), name) for endpoint in stats.endpoints]


@contextmanager
def screen(*, as_json: bool) -> Generator[Show]:
    """Show measurements as JSON lines, as a live table, or as one table after the other."""
    terminal = console()
    if as_json:
        yield write
    elif terminal.is_terminal and not terminal.is_dumb_terminal:
        from rich.live import Live

        with _interrupted_by_signals(), Live(console=terminal, auto_refresh=False) as live:
            yield lambda measured, states: live.update(rendered(measured, states), refresh=True)
    else:
        yield lambda measured, states: terminal.print(rendered(measured, states))


@contextmanager
def _interrupted_by_signals() -> Generator[None]:
    """Let SIGTERM and SIGHUP do what Ctrl-C does: the terminal gets its cursor back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, each) for each in _SIGNALS if hasattr(signal, each)]
    taken = [each for each in numbers if signal.getsignal(each) is signal.SIG_DFL]
    try:
        for each in taken:
            signal.signal(each, _interrupt)
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # At SIGINT asyncio cancels its work; an exception may be raised where none is heard.
    signal.raise_signal(signal.SIGINT)


def write(measurements: Sequence[Measurement], consumers: Consumers) -> None:
    """Print one JSON document on a line of its own."""
    instances = [
        {to_camel(name): value for name, value in asdict(each).items()} for each in measurements
    ]
    document: dict[str, object] = {
        "timestamp": datetime.now(UTC).isoformat(),
        "instances": instances,
    }
    if consumers.durable:
        document["consumers"] = as_data(consumers.durable)
    if consumers.projections:
        document["projections"] = as_data(consumers.projections)
    emit_line(document)


def rendered(measurements: Sequence[Measurement], consumers: Consumers) -> "Table | Group | str":
    """Return a table of instances, and below it one of consumers if there are any."""
    instances = _instances(measurements)
    if not consumers:
        return instances
    from rich.console import Group

    return Group(instances, "", as_table(consumers))


def _instances(measurements: Sequence[Measurement]) -> "Table | str":
    """Return a table; unknown values are blank, columns without values are omitted."""
    if not measurements:
        return "no service is running"
    from rich.table import Table

    columns = {
        "req/s": [_number(each.rate, ".1f") for each in measurements],
        "err/s": [_number(each.error_rate, ".1f", alarm="red") for each in measurements],
        "p50 ms": [_number(each.p50, ".2f") for each in measurements],
        "p99 ms": [_number(each.p99, ".2f") for each in measurements],
        "in flight": [_number(each.in_flight) for each in measurements],
        "queued": [_number(each.queued, alarm="yellow") for each in measurements],
        "breaker": [_breaker(each.circuit_breaker) for each in measurements],
        "refused": [_number(each.refusals, alarm="yellow") for each in measurements],
        "health": [_health(each) for each in measurements],
    }
    shown = {title: cells for title, cells in columns.items() if any(cells)}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("instance", overflow="fold", min_width=12)
    for title in shown:
        table.add_column(title, justify="right", no_wrap=True)
    for each, *cells in zip(measurements, *shown.values(), strict=True):
        # Ids differ at their end.
        end = each.instance[1 - _ID_LENGTH :]
        instance = each.instance if len(each.instance) <= _ID_LENGTH else f"…{end}"
        table.add_row(f"[bold]{brief(each.service)}[/] [dim]{brief(instance)}[/]", *cells)
    return table


def _number(value: float | None, form: str = "d", *, alarm: str | None = None) -> str:
    """Return a number for people, in a color if it should be zero and is not."""
    if value is None:
        return ""
    text = format(value, form)
    return f"[{alarm}]{text}[/]" if alarm and value else text


def _breaker(state: str | None) -> str:
    return "" if state is None else f"[{_BREAKER_STYLES[state]}]{state}[/]"


def _health(measurement: Measurement) -> str:
    if measurement.ejected:
        return "[red]ejected[/]"
    return "[yellow]not ready[/]" if measurement.ready is False else ""

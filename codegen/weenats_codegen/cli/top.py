"""The verb `top`: what the running instances do, drawn anew all the time."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

from weenats.discovery import list_stats
from weenats.errors import UnavailableError
from weenats_codegen.cli.arguments import service_name
from weenats_codegen.cli.connection import connection
from weenats_codegen.cli.measuring import Measured, Poll, measure
from weenats_codegen.cli.output import console, plain, warn

if TYPE_CHECKING:
    from rich.table import Table

    from weenats.transport.nats import NatsTransport

Show = Callable[[list[Measured]], None]

_ID_LENGTH = 9
_BREAKER_STYLES = {"closed": "green", "half-open": "yellow", "open": "red"}


def top(
    service: str | None, servers: Sequence[str], *, interval: float, once: bool, as_json: bool
) -> None:
    """Show what the instances of all services do, or of one, until Ctrl-C."""
    if service is not None:
        service_name(service)
    try:
        with screen(as_json=as_json) as show:
            asyncio.run(watch(service, servers, show, interval=interval, once=once))
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # whoever read this has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def watch(
    service: str | None, servers: Sequence[str], show: Show, *, interval: float, once: bool
) -> None:
    """Ask all instances every interval and show what they do; `once` shows one interval only."""
    async with connection(servers) as transport:
        before = await poll(transport, service)
        if not once:
            show(measure(before, None))
        while True:
            await asyncio.sleep(max(before.asked + interval - monotonic(), 0))
            try:
                now = await poll(transport, service)
            except UnavailableError as error:
                if once:
                    raise
                warn(str(error))
                await asyncio.sleep(interval)
                continue
            show(measure(now, before))
            if once:
                return
            before = now


async def poll(transport: "NatsTransport", service: str | None) -> Poll:
    """Ask all instances for their statistics."""
    asked = monotonic()
    answers = await list_stats(transport, service)
    return Poll(asked, {(each.name, each.id): each for each in answers})


@contextmanager
def screen(*, as_json: bool) -> Generator[Show]:
    """Where measurements are shown: JSON lines, a live table, or one table after the other."""
    terminal = console()
    if as_json:
        yield write
    elif terminal.is_terminal:
        from rich.live import Live

        with Live(console=terminal, auto_refresh=False) as live:
            yield lambda measured: live.update(drawn(measured), refresh=True)
    else:
        yield lambda measured: terminal.print(drawn(measured))


def write(measured: Sequence[Measured]) -> None:
    """One JSON document on a line of its own."""
    instances = [
        {
            "service": each.service,
            "version": each.version,
            "instance": each.instance,
            "rate": each.rate,
            "errorRate": each.error_rate,
            "p50": each.p50,
            "p99": each.p99,
            "inFlight": each.in_flight,
            "queued": each.queued,
            "circuitBreaker": each.circuit_breaker,
            "refusals": each.refusals,
        }
        for each in measured
    ]
    document = {"timestamp": datetime.now(UTC).isoformat(), "instances": instances}
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def drawn(measured: Sequence[Measured]) -> "Table | str":
    """The instances as a table: what is not known is blank, a column of blanks is left out."""
    if not measured:
        return "no service is running"
    from rich.table import Table

    figures = {
        "req/s": [number(each.rate, ".1f") for each in measured],
        "err/s": [number(each.error_rate, ".1f", alarming="red") for each in measured],
        "p50 ms": [number(each.p50, ".2f") for each in measured],
        "p99 ms": [number(each.p99, ".2f") for each in measured],
        "in flight": [number(each.in_flight) for each in measured],
        "queued": [number(each.queued, alarming="yellow") for each in measured],
        "breaker": [breaker(each.circuit_breaker) for each in measured],
        "refused": [number(each.refusals, alarming="yellow") for each in measured],
    }
    shown = {title: cells for title, cells in figures.items() if any(cells)}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("instance", overflow="fold", min_width=12)
    for title in shown:
        table.add_column(title, justify="right", no_wrap=True)
    for each, *cells in zip(measured, *shown.values(), strict=True):
        table.add_row(
            f"[bold]{plain(each.service)}[/] [dim]{plain(short(each.instance))}[/]", *cells
        )
    return table


def short(instance: str) -> str:
    """The end of a long id, where ids differ."""
    return instance if len(instance) <= _ID_LENGTH else f"…{instance[1 - _ID_LENGTH :]}"


def number(value: float | None, form: str = "d", *, alarming: str | None = None) -> str:
    """A figure for people, in a colour when it should be zero."""
    if value is None:
        return ""
    text = format(value, form)
    return f"[{alarming}]{text}[/]" if alarming and value else text


def breaker(state: str | None) -> str:
    """The state of a circuit breaker, in its colour."""
    return "" if state is None else f"[{_BREAKER_STYLES[state]}]{state}[/]"

"""The faults of a chaos run; each of them begins, lasts a while, and is over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Final

from testkit.chaos.environment import Environment, ProcessSlot
from testkit.chaos.flood import flood
from testkit.chaos.issuer import Mode
from testkit.chaos.nats_pair import RoutedServer
from testkit.tcp_proxy import TcpProxy

Fault = Callable[[Environment, int, float], Awaitable[None]]


async def kill_service(environment: Environment, which: int, lasting: float) -> None:
    """Kill a service, and start another."""
    await _kill(_replaceable(environment.services, which), lasting)


async def kill_client(environment: Environment, which: int, lasting: float) -> None:
    """Kill a client during its calls, and start another."""
    await _kill(_replaceable(environment.clients, which), lasting)


async def stop_service(environment: Environment, which: int, lasting: float) -> None:
    """Stop a service gracefully, and start another."""
    slot = _replaceable(environment.services, which)
    async with slot.busy:
        try:
            await slot.stop()
        finally:
            await asyncio.sleep(lasting)
            await slot.start()


async def pause_service(environment: Environment, which: int, lasting: float) -> None:
    """Pause a service."""
    slot = environment.services[which % len(environment.services)]
    async with slot.busy:
        slot.running.pause()
        await asyncio.sleep(lasting)
        slot.running.resume()


async def kill_server(environment: Environment, which: int, lasting: float) -> None:
    """Kill a nats-server, and start it again."""
    server, busy = _server(environment, which)
    async with busy:
        server.kill()
        await asyncio.sleep(lasting)
        await server.start()


async def pause_server(environment: Environment, which: int, lasting: float) -> None:
    """Pause a nats-server."""
    server, busy = _server(environment, which)
    async with busy:
        server.pause()
        await asyncio.sleep(lasting)
        server.resume()


async def cut(environment: Environment, which: int, lasting: float) -> None:
    """Break connections, some in the middle of a message."""
    for link in _links(environment, which):
        link.cut()


async def delay(environment: Environment, which: int, lasting: float) -> None:
    """Delay what is sent, by up to a fifth of a second."""
    for link in (links := _links(environment, which)):
        link.delay(0.2)
    await _heal(links, lasting)


async def stall(environment: Environment, which: int, lasting: float) -> None:
    """Hold back what is sent while connections stay open; then cut some of them."""
    for link in (links := _links(environment, which)):
        link.stall()
    await _heal(links, lasting)
    for link in links[: which % 2]:
        link.cut()


async def refuse(environment: Environment, which: int, lasting: float) -> None:
    """Break connections and accept none."""
    for link in (links := _links(environment, which)):
        link.refuse()
    await _heal(links, lasting)


async def partition(environment: Environment, which: int, lasting: float) -> None:
    """Cut the route between the two servers."""
    for route in environment.nats.routes:
        (route.stall if which % 2 else route.refuse)()
    await _heal(environment.nats.routes, lasting)


async def send_garbage(environment: Environment, which: int, lasting: float) -> None:
    """Flood every subject with malformed messages."""
    server, _ = _server(environment, which)
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await flood(server.port, Random(which), lasting)


async def rotate_key(environment: Environment, which: int, lasting: float) -> None:
    """Sign with a new key and stop publishing the old one."""
    environment.issuer.rotate()


async def issue_short_lived_tokens(environment: Environment, which: int, lasting: float) -> None:
    """Issue tokens that expire soon, with a new key so that everybody needs one."""
    async with _issuer_in(environment, "short-lived"):
        environment.issuer.rotate()
        await asyncio.sleep(lasting)


async def issue_expired_tokens(environment: Environment, which: int, lasting: float) -> None:
    """Issue tokens that have expired."""
    async with _issuer_in(environment, "expired"):
        environment.issuer.rotate()
        await asyncio.sleep(lasting)


async def stop_issuer(environment: Environment, which: int, lasting: float) -> None:
    """Answer no request for a key or a token."""
    async with _issuer_in(environment, "unavailable"):
        await asyncio.sleep(lasting)


async def change_password(environment: Environment, which: int, lasting: float) -> None:
    """Change the password of services, or of clients."""
    user = ("service", "client")[which % 2]
    async with environment.credentials_busy:
        environment.nats.credentials.passwords[user] = "changed"
        environment.nats.reload()
        await asyncio.sleep(lasting)
        environment.nats.credentials.passwords[user] = user
        environment.nats.reload()


async def deny_subject(environment: Environment, which: int, lasting: float) -> None:
    """Deny clients the subject of an operation, or of cancellation."""
    subjects = ("receipts.command.receipt.finalize", "receipts.cancel", "receipts.query.>")
    async with environment.credentials_busy:
        environment.nats.credentials.denied["client"] = subjects[which % len(subjects)]
        environment.nats.reload()
        await asyncio.sleep(lasting)
        environment.nats.credentials.denied.clear()
        environment.nats.reload()


FAULTS: Final[Mapping[str, Fault]] = {
    fault.__name__: fault
    for fault in (
        kill_service,
        kill_client,
        stop_service,
        pause_service,
        kill_server,
        pause_server,
        cut,
        delay,
        stall,
        refuse,
        partition,
        send_garbage,
        rotate_key,
        issue_short_lived_tokens,
        issue_expired_tokens,
        stop_issuer,
        change_password,
        deny_subject,
    )
}


def target(fault: str, environment: Environment, which: int) -> str:
    """Return the beginning of the names of the processes that a fault affects, "" for all."""
    if fault in {"kill_service", "stop_service"}:
        slot = _replaceable(environment.services, which)
    elif fault == "kill_client":
        slot = _replaceable(environment.clients, which)
    elif fault == "pause_service":
        slot = environment.services[which % len(environment.services)]
    elif fault in {"cut", "delay", "stall", "refuse"}:
        slots = [*environment.slots]
        slot = slots[which % len(slots)]
    else:
        return ""
    return f"{slot.kind}-{slot.number}-"


def _replaceable(slots: Sequence[ProcessSlot], which: int) -> ProcessSlot:
    """Return a slot whose process may be replaced."""
    return slots[1 + which % (len(slots) - 1)]


async def _kill(slot: ProcessSlot, lasting: float) -> None:
    async with slot.busy:
        await slot.kill()
        await asyncio.sleep(lasting)
        await slot.start()


def _server(environment: Environment, which: int) -> tuple[RoutedServer, asyncio.Lock]:
    number = which % len(environment.nats.servers)
    return environment.nats.servers[number], environment.server_busy[number]


def _links(environment: Environment, which: int) -> list[TcpProxy]:
    """Return the links of a process to both servers or to one of them."""
    slots = [*environment.slots]
    links = slots[which % len(slots)].links
    return links if which % 4 else links[:1]


@contextlib.asynccontextmanager
async def _issuer_in(environment: Environment, mode: Mode) -> AsyncIterator[None]:
    async with environment.issuer_busy:
        environment.issuer.mode = mode
        yield
        environment.issuer.mode = "good"


async def _heal(links: Sequence[TcpProxy], lasting: float) -> None:
    await asyncio.sleep(lasting)
    for link in links:
        link.heal()

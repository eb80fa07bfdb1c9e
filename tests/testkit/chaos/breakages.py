"""What may be done to the world: each fault begins, lasts, and is made good."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Final

from testkit.chaos.flood import flood
from testkit.chaos.issuer import Mood
from testkit.chaos.nats_pair import RoutedServer
from testkit.chaos.world import Slot, World
from testkit.tcp_proxy import TcpProxy

Fault = Callable[[World, int, float], Awaitable[None]]


async def kill_service(world: World, which: int, lasting: float) -> None:
    """End a service at once; another takes its place."""
    await _kill(_mortal(world.services, which), lasting)


async def kill_client(world: World, which: int, lasting: float) -> None:
    """End a client at once, in the middle of its calls; another takes its place."""
    await _kill(_mortal(world.clients, which), lasting)


async def stop_service(world: World, which: int, lasting: float) -> None:
    """Ask a service to end; another takes its place."""
    slot = _mortal(world.services, which)
    async with slot.busy:
        try:
            await slot.stop()
        finally:
            await asyncio.sleep(lasting)
            await slot.start()


async def pause_service(world: World, which: int, lasting: float) -> None:
    """Let a service stand still."""
    slot = world.services[which % len(world.services)]
    async with slot.busy:
        slot.running.pause()
        await asyncio.sleep(lasting)
        slot.running.resume()


async def kill_server(world: World, which: int, lasting: float) -> None:
    """End a nats-server at once; it comes back."""
    server, busy = _server(world, which)
    async with busy:
        server.kill()
        await asyncio.sleep(lasting)
        await server.start()


async def pause_server(world: World, which: int, lasting: float) -> None:
    """Let a nats-server stand still."""
    server, busy = _server(world, which)
    async with busy:
        server.pause()
        await asyncio.sleep(lasting)
        server.resume()


async def cut(world: World, which: int, lasting: float) -> None:
    """Break connections, some in the middle of a message."""
    for link in _links(world, which):
        link.cut()


async def delay(world: World, which: int, lasting: float) -> None:
    """Hold back what is sent, by up to a fifth of a second."""
    for link in (links := _links(world, which)):
        link.delay(0.2)
    await _heal(links, lasting)


async def stall(world: World, which: int, lasting: float) -> None:
    """Lose what is sent, while connections stay open; what was held back is then cut off."""
    for link in (links := _links(world, which)):
        link.stall()
    await _heal(links, lasting)
    for link in links[: which % 2]:
        link.cut()


async def refuse(world: World, which: int, lasting: float) -> None:
    """Break connections and let none in."""
    for link in (links := _links(world, which)):
        link.refuse()
    await _heal(links, lasting)


async def partition(world: World, which: int, lasting: float) -> None:
    """Part the two servers: each goes on with the processes that it has."""
    for route in world.nats.routes:
        (route.stall if which % 2 else route.refuse)()
    await _heal(world.nats.routes, lasting)


async def send_garbage(world: World, which: int, lasting: float) -> None:
    """Flood every subject with what nobody should send."""
    server, _ = _server(world, which)
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await flood(server.port, Random(which), lasting)


async def rotate_key(world: World, which: int, lasting: float) -> None:
    """Sign with a new key and publish the old one no more."""
    world.issuer.rotate()


async def hurry_tokens(world: World, which: int, lasting: float) -> None:
    """Issue tokens that expire soon, with a new key so that everybody needs one."""
    async with _issuer_in(world, "hurried"):
        world.issuer.rotate()
        await asyncio.sleep(lasting)


async def issue_expired_tokens(world: World, which: int, lasting: float) -> None:
    """Issue tokens that nobody takes."""
    async with _issuer_in(world, "late"):
        world.issuer.rotate()
        await asyncio.sleep(lasting)


async def lose_issuer(world: World, which: int, lasting: float) -> None:
    """Answer nobody who wants a key or a token."""
    async with _issuer_in(world, "gone"):
        await asyncio.sleep(lasting)


async def change_password(world: World, which: int, lasting: float) -> None:
    """Let the servers take the password of services, or of clients, no more."""
    user = ("service", "client")[which % 2]
    async with world.credentials_busy:
        world.nats.credentials.passwords[user] = "changed"
        world.nats.reload()
        await asyncio.sleep(lasting)
        world.nats.credentials.passwords[user] = user
        world.nats.reload()


async def deny_subject(world: World, which: int, lasting: float) -> None:
    """Let clients call an operation no more, or give no call up."""
    subjects = ("receipts.command.receipt.finalize", "receipts.cancel", "receipts.query.>")
    async with world.credentials_busy:
        world.nats.credentials.denied["client"] = subjects[which % len(subjects)]
        world.nats.reload()
        await asyncio.sleep(lasting)
        world.nats.credentials.denied.clear()
        world.nats.reload()


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
        hurry_tokens,
        issue_expired_tokens,
        lose_issuer,
        change_password,
        deny_subject,
    )
}


def _mortal(slots: Sequence[Slot], which: int) -> Slot:
    """Return one of those that may be ended."""
    return slots[1 + which % (len(slots) - 1)]


async def _kill(slot: Slot, lasting: float) -> None:
    async with slot.busy:
        await slot.kill()
        await asyncio.sleep(lasting)
        await slot.start()


def _server(world: World, which: int) -> tuple[RoutedServer, asyncio.Lock]:
    number = which % len(world.nats.servers)
    return world.nats.servers[number], world.server_busy[number]


def _links(world: World, which: int) -> list[TcpProxy]:
    """Return the links of a process: to both servers or to one of them."""
    slots = [*world.slots]
    links = slots[which % len(slots)].links
    return links if which % 4 else links[:1]


@contextlib.asynccontextmanager
async def _issuer_in(world: World, mood: Mood) -> AsyncIterator[None]:
    async with world.issuer_busy:
        world.issuer.mood = mood
        yield
        world.issuer.mood = "good"


async def _heal(links: Sequence[TcpProxy], lasting: float) -> None:
    await asyncio.sleep(lasting)
    for link in links:
        link.heal()

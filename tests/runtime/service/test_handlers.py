"""Handlers publish events on the connection of the current request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from testkit.probe import Happened, Outcome, Probe, ProbeClient, Run
from weenats import NatsServiceBuilder, RequestContext, UnavailableError
from weenats.telemetry.manager import SILENT
from weenats.testing import MemoryTransport


class Announcing(Probe):
    """Publishes an event for each command."""

    def __init__(self) -> None:
        super().__init__(announce=self._announce, later=self._later)
        self.gate = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def announce(self, text: str) -> None:
        """Publish the event."""
        await self.publish_happened("k", Happened(whatText=text), revision=1)

    async def _announce(self, key: str, command: Run, context: RequestContext) -> Outcome:
        await self.gate.wait()
        await self.announce(key)
        return Outcome(text=key)

    async def _later(self, key: str, command: Run, context: RequestContext) -> Outcome:
        self.tasks.append(asyncio.create_task(self.announce(key)))
        return Outcome(text=key)


class Side:
    """One of several transports, and the events on it."""

    def __init__(self) -> None:
        self.transport = MemoryTransport()
        self.client = ProbeClient(self.transport)
        self.events: list[str] = []

    async def listen(self) -> None:
        """Subscribe to the events."""

        async def take(event: Any) -> None:
            self.events.append(event.data.text)

        await self.client.subscribe_happened(take, max_concurrency=1)

    async def fence(self) -> None:
        """Wait until what was published has arrived."""
        for _ in range(5):
            await self.transport.fence()


def builder(handlers: Probe, side: Side) -> NatsServiceBuilder:
    """Return a builder of these handlers on one of the transports."""
    return NatsServiceBuilder(handlers, transport=side.transport)


@pytest.mark.parametrize("action", ["announce", "later"])
async def test_events_use_the_connection_of_the_request(action: str) -> None:
    """With concurrent requests on two connections; tasks that a handler starts do the same."""
    handlers, sides = Announcing(), (Side(), Side())
    first, second = sides
    async with builder(handlers, first).build(), builder(handlers, second).build():
        for side in sides:
            await side.listen()
        calls = [
            asyncio.create_task(side.client.run(f"{name}-{number}", Run(action=action)))
            for number in range(3)
            for name, side in zip("ab", sides, strict=True)
        ]
        await asyncio.sleep(0)
        handlers.gate.set()
        await asyncio.gather(*calls)
        await asyncio.gather(*handlers.tasks)
        for side in sides:
            await side.fence()
    assert sorted(first.events) == ["a-0", "a-1", "a-2"]
    assert sorted(second.events) == ["b-0", "b-1", "b-2"]


async def test_outside_of_a_request_there_must_be_one_connection() -> None:
    """A background task can publish while exactly one service runs."""
    handlers, first, second = Announcing(), Side(), Side()
    with pytest.raises(UnavailableError, match="start one of a NatsServiceBuilder"):
        await handlers.announce("too early")
    async with builder(handlers, first).build():
        await first.listen()
        async with builder(handlers, second).build():
            with pytest.raises(RuntimeError, match=r"publish with weenats\.events\.publish"):
                await handlers.announce("where?")
        await handlers.announce("alone again")
        await first.fence()
    assert first.events == ["alone again"]


async def test_handlers_of_another_service_use_their_connection() -> None:
    """The request of a service that they do not belong to has no effect."""
    inner, outer, own, other = Announcing(), Probe(), Side(), Side()

    async def use(key: str, command: Run, context: RequestContext) -> Outcome:
        await inner.announce(key)
        return Outcome(text=key)

    outer.actions["use"] = use
    async with builder(inner, own).build(), builder(outer, other).build():
        await own.listen()
        await other.client.run("k", Run(action="use"))
        await own.fence()
    assert own.events == ["k"]


async def test_telemetry_is_that_of_the_current_request() -> None:
    """A service without telemetry records nothing, even if another one with telemetry runs."""
    seen: list[bool] = []

    async def look(key: str, command: Run, context: RequestContext) -> Outcome:
        seen.append(handlers.telemetry is SILENT)
        return Outcome(text=key)

    handlers, plain, recorded = Probe(look=look), Side(), Side()
    assert handlers.telemetry is SILENT
    async with (
        builder(handlers, recorded).with_telemetry().build(),
        builder(handlers, plain).build(),
    ):
        for side in (plain, recorded):
            await side.client.run("k", Run(action="look"))
        with pytest.raises(RuntimeError):
            _ = handlers.telemetry
    assert seen == [True, False]

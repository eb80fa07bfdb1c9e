"""Clients and subscriptions in the handlers of a service: its connection, telemetry and end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typing_extensions import override

from receipts import AddItem, ReceiptsClient
from receipts.handlers import Receipts
from testkit.probe import HAPPENED, Happened, Outcome, Probe, ProbeClient, Run, echo
from testkit.waiting import LIMIT, until
from weenats import (
    EventSubscription,
    NatsServiceBuilder,
    ServiceClient,
    UnavailableError,
)
from weenats.events import subscribe
from weenats.testing import MemoryTransport

TEA = AddItem(name="Tea", price=0.1, quantity=3)


class Front(Probe):
    """A service whose command calls receipts: the client is made in one line, before the start."""

    def __init__(self) -> None:
        super().__init__(buy=self.buy)
        self.receipts = ReceiptsClient.sharing(self)
        self.left: list[float | None] = []

    async def buy(self, key: str, command: Run, context: Any) -> Outcome:
        """Add an item to a receipt."""
        total = (await self.receipts.add_item(key, TEA)).total
        self.left.append(context.remaining)
        return Outcome(text=str(total))


async def test_nested_call_uses_the_service_connection(nats_url: str) -> None:
    """It needs no connection of its own, and works again when the service is started again."""
    front = Front()
    with pytest.raises(UnavailableError, match="no running service serves these handlers"):
        await front.receipts.get_receipt("r-1")
    async with (
        NatsServiceBuilder(Receipts(), nats_url).build(),
        ProbeClient.connect(nats_url) as client,
    ):
        for total in ("0.3", "0.6"):
            async with NatsServiceBuilder(front, nats_url).build():
                assert front.receipts.transport is front.transport
                assert (await client.run("r-1", Run(action="buy"))).text == total
        with pytest.raises(UnavailableError, match="no running service"):
            await front.receipts.get_receipt("r-1")


async def test_nested_call_has_the_deadline_of_the_request() -> None:
    """A nested call takes no longer than its request, whatever its own timeout."""
    transport = MemoryTransport()
    remaining: list[float] = []

    async def add(context: Any, call_next: Any) -> Any:
        remaining.append(context.remaining)
        return await call_next(context)

    async with (
        NatsServiceBuilder(Receipts(), transport=transport).with_interceptor(add).build(),
        NatsServiceBuilder(Front(), transport=transport).build(),
        ProbeClient(transport) as client,
    ):
        await client.run("r-1", Run(action="buy"), timeout=LIMIT)
        await client.run("r-1", Run(action="buy"), timeout=2)
    assert remaining[1] < 2


async def test_discovery_through_a_shared_client() -> None:
    """Discovery, with and without telemetry of the owner, uses the connection of the owner."""
    transport = MemoryTransport()
    for builder in (
        NatsServiceBuilder(front := Front(), transport=transport),
        NatsServiceBuilder(front, transport=transport).with_telemetry(),
    ):
        async with builder.build() as service:
            (instance,) = await ProbeClient.sharing(front).list_instances()
            assert instance.id == service.instance_id


async def test_clients_share_the_connection_of_a_client(nats_url: str) -> None:
    """Closing the second client leaves the connection of the first open."""
    async with (
        NatsServiceBuilder(Receipts(), nats_url).build(),
        NatsServiceBuilder(Probe(), nats_url).build(),
        ReceiptsClient.connect(nats_url) as receipts,
    ):
        async with ProbeClient.sharing(receipts) as probe:
            assert (await probe.run("k", Run(action="a"))).text == "a"
            assert probe.transport is receipts.transport
        await probe.close()
        await receipts.add_item("r-9", TEA)


@pytest.mark.parametrize("owner", ["nats://localhost", object(), None])
def test_sharing_refuses_what_has_no_connection(owner: Any) -> None:
    """What is neither handlers nor a client is refused at once."""
    with pytest.raises(TypeError, match=r"ServiceClient\.sharing takes the handlers"):
        ServiceClient.sharing(owner)


class Listening(Probe):
    """Handlers that subscribe to their own event when they start."""

    def __init__(self) -> None:
        super().__init__(publish=self.announce)
        self.log: list[str] = []
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.subscription: EventSubscription | None = None

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        client = ProbeClient.sharing(self)
        self.subscription = await client.subscribe_happened(self.on_happened)
        yield
        self.log.append("left")

    async def announce(self, key: str, command: Run, context: Any) -> Outcome:
        """Publish the event."""
        await self.publish_happened(key, Happened(text="now"), revision=1)
        return await echo(key, command, context)

    async def on_happened(self, event: Any) -> None:
        """Wait, and use the connection of the service."""
        self.begun.set()
        await self.go_on.wait()
        self.transport.publish("probe.handled", event.key.encode())
        self.log.append(event.key)


async def test_subscription_ends_with_the_service(nats_url: str) -> None:
    """A stop finishes events whose handlers run, before the lifespan is left; then none arrives."""
    handlers = Listening()
    async with ProbeClient.connect(nats_url) as client:
        service = NatsServiceBuilder(handlers, nats_url).build()
        await service.start()
        await client.run("one", Run(action="publish"))
        await handlers.begun.wait()
        stopping = asyncio.create_task(service.stop())
        await until(lambda: not service.is_serving)
        await client.transport.fence()
        handlers.go_on.set()
        await asyncio.wait_for(stopping, LIMIT)
        assert handlers.log == ["one", "left"]
        assert handlers.subscription is not None
        await handlers.subscription.unsubscribe()
        await client.publish_happened("two", Happened(text="later"), revision=2)
        await client.transport.fence()
    assert handlers.log == ["one", "left"]


async def test_handlers_of_events_use_the_instance_that_subscribed() -> None:
    """With two instances of the same handlers, each event is handled by its own instance."""
    transports = MemoryTransport(), MemoryTransport()
    used: list[Any] = []

    class Both(Probe):
        @override
        @asynccontextmanager
        async def lifespan(self) -> AsyncGenerator[None]:
            async with await subscribe(self.transport, HAPPENED, self.note):
                yield

        async def note(self, event: Any) -> None:
            used.append(self.transport)

    handlers = Both()
    async with (
        NatsServiceBuilder(handlers, transport=transports[0]).build(),
        NatsServiceBuilder(handlers, transport=transports[1]).build(),
    ):
        for transport in transports:
            client = ProbeClient(transport)
            await client.publish_happened("k", Happened(text="a"), revision=1)
        await until(lambda: len(used) == 2)
    assert used == [*transports]


async def test_abort_cancels_handlers_of_events() -> None:
    """A second signal does not wait for events either; neither does the drain timeout."""
    transport = MemoryTransport()
    for is_aborted in (True, False):
        handlers = Listening()
        timeout = LIMIT * 10 if is_aborted else 0.01
        builder = NatsServiceBuilder(handlers, transport=transport).with_drain_timeout(timeout)
        service = builder.build()
        await service.start()
        await ProbeClient(transport).run("k", Run(action="publish"))
        await handlers.begun.wait()
        stopping = asyncio.create_task(service.stop())
        await until(lambda service=service: not service.is_serving)  # type: ignore[misc]
        if is_aborted:
            service.abort()
        await asyncio.wait_for(stopping, LIMIT)
        assert handlers.log == ["left"]


async def test_handler_of_an_event_may_stop_the_service() -> None:
    """A stop in the handler of an event returns at once."""
    transport = MemoryTransport()
    handlers = Listening()
    service = NatsServiceBuilder(handlers, transport=transport).build()

    async def stop(event: Any) -> None:
        await service.stop()
        handlers.log.append("stopping")

    handlers.on_happened = stop  # type: ignore[method-assign]
    await service.start()
    await ProbeClient(transport).run("k", Run(action="publish"))
    await asyncio.wait_for(service.wait_until_stopped(), LIMIT)
    assert handlers.log == ["stopping", "left"]

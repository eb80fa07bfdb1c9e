"""Contender "weenats": durable events and an event-sourced aggregate as generated code has them."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import ClassVar, Final
from uuid import uuid4

import nats
from typing_extensions import override

import durable
import durable_raw
from harness import Call
from typed import Confirmation, CreateOrder, serving
from weenats import NatsTransport
from weenats.aggregates import Decision
from weenats.aggregates.store import commit_stream
from weenats.client import ServiceClient
from weenats.codec.events import event_codec
from weenats.context import MessageContext, RequestContext
from weenats.contract import (
    Aggregate,
    Command,
    DurabilityDemand,
    Entity,
    Event,
    ServiceContract,
    Stream,
)
from weenats.events import EventConsumer, EventRoute, ReceivedEvent, consume, publish
from weenats.model import Model
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.subjects import stored_event
from weenats.service import (
    Endpoint,
    EventSourcedHandlers,
    NatsServiceBuilder,
    StoredAggregate,
    StoredEndpoint,
)
from weenats.streams import apply_streams, plan_streams
from workload import CONFIRMATION, ORDER

STREAM: Final = Stream(
    name="bench-durable-events",
    service="bench-durable",
    events=("order.ordered",),
    partitions=durable.PARTITIONS,
)
CONTRACT: Final = ServiceContract(
    name="bench-durable",
    version="1.0.0",
    description="Orders whose events are durable.",
    digest="sha256:0",
    streams=(STREAM,),
)
ORDERED: Final = Event(
    name="ordered",
    contract=CONTRACT,
    aggregate=Aggregate(name="order", state=CreateOrder),
    data=CreateOrder,
    stream=STREAM,
    description="Something was ordered.",
)


class Account(Model):
    """What a customer has ordered so far."""

    orders: int
    positions: int


SOURCED: Final = ServiceContract(
    name="bench-sourced",
    version="1.0.0",
    description="Accounts that are kept in a stream.",
    digest="sha256:0",
)
ACCOUNT: Final = Aggregate(name="account", state=Account, store="stream")
PLACED: Final = Event(
    name="placed",
    contract=SOURCED,
    aggregate=ACCOUNT,
    data=CreateOrder,
    description="An order was placed.",
)
PLACE_ORDER: Final = Command(
    name="place-order",
    contract=SOURCED,
    aggregate=ACCOUNT,
    payload=CreateOrder,
    result=Confirmation,
    emits=(PLACED,),
    description="Place an order.",
)


class Accounts(EventSourcedHandlers):
    """The service."""

    contract: ClassVar[ServiceContract] = SOURCED

    async def place_order(
        self, state: Entity[Account] | None, command: CreateOrder, context: RequestContext
    ) -> Decision[Confirmation]:
        """The handler: the same as by hand, and the event."""
        del state, context
        confirmation = Confirmation(
            customer=command.customer,
            status="accepted",
            total=sum(item.price * item.quantity for item in command.items),
            positions=len(command.items),
            warehouse="rotterdam-europoort-02",
            carrier="cargo-bike",
            message="we pack it today and ring twice",
        )
        return self.emit(command).reply(confirmation)

    def placed(self, state: Account | None, event: CreateOrder) -> Account:
        """Return the state after an order."""
        before = state or Account(orders=0, positions=0)
        return Account(orders=before.orders + 1, positions=before.positions + len(event.items))

    @override
    def endpoints(self) -> tuple[Endpoint, ...]:
        return (StoredEndpoint.decision(PLACE_ORDER, self.place_order),)

    @override
    def stored_aggregates(self) -> tuple[StoredAggregate, ...]:
        return (StoredAggregate(ACCOUNT, {PLACED: self.placed}),)


class AccountsClient(ServiceClient):
    """The client."""

    contract: ClassVar[ServiceContract] = SOURCED

    async def place_order(self, key: str, command: CreateOrder) -> Confirmation:
        """Place an order."""
        return await self.execute(PLACE_ORDER, key, command)


class Counting(EventConsumer):
    """Counts events, and waits after each batch."""

    contract: ClassVar[ServiceContract] = CONTRACT

    def __init__(self) -> None:
        """Begin without a batch."""
        self._allowed = asyncio.Semaphore(0)
        self._done = asyncio.Semaphore(0)
        self._left = 0

    async def batch(self) -> None:
        """Process a batch of events."""
        self._left = durable.BATCH
        for _ in range(durable.BATCH):
            self._allowed.release()
        await self._done.acquire()

    def finish(self) -> None:
        """Let the handlers end that wait: the stream has more events than were counted."""
        for _ in range(durable.FILL):
            self._allowed.release()

    async def ordered(self, event: ReceivedEvent[CreateOrder]) -> None:
        """Count an event."""
        del event
        await self._allowed.acquire()
        self._left -= 1
        if not self._left:
            self._done.release()

    @override
    def routes(self) -> tuple[EventRoute, ...]:
        return (EventRoute.of(ORDERED, self.ordered),)


async def serve(url: str, what: str, replicas: str = "1") -> None:
    """Create the stream; fill it for those who consume, or serve commands."""
    transport = NatsTransport(url)
    await apply_streams(transport, await plan_streams(transport, CONTRACT.streams))
    if what == "consume":
        await _fill(url)
    elif what == "commit":
        demand = DurabilityDemand(replicas=int(replicas))
        Accounts.contract = replace(SOURCED, durability=demand)
        await serving(NatsServiceBuilder(Accounts(), servers=url))
        await durable.lead(await nats.connect(url), commit_stream(SOURCED.name))
    await transport.close()


async def _fill(url: str) -> None:
    message_id, timestamp = STAMPER.stamp()
    context = MessageContext(message_id, message_id, timestamp)
    order = CreateOrder.model_validate(ORDER)
    payload = event_codec(ORDERED).encode("order-00000000-000", order, None, context)
    subjects = [
        stored_event(CONTRACT.name, each, ORDERED.path) for each in range(STREAM.partitions)
    ]
    await durable_raw.fill(await nats.connect(url), STREAM.name, subjects, payload)


async def connect(url: str, what: str, replicas: str = "1") -> Call:
    """Return what publishes, consumes or sends a command."""
    del replicas
    if what == "commit":
        return await _commanding(url)
    transport = NatsTransport(url)
    await transport.connect()
    return await (_publishing(transport) if what == "publish" else _consuming(transport))


async def _publishing(transport: NatsTransport) -> Call:
    keys, order = durable.new_keys(), CreateOrder.model_validate(ORDER)

    async def call() -> None:
        await publish(transport, ORDERED, next(keys), order)

    await call()
    return call


async def _consuming(transport: NatsTransport) -> Call:
    consumer, left = Counting(), 0
    running = AsyncExitStack()

    async def call() -> None:
        nonlocal left, consumer
        if left < durable.BATCH:
            consumer.finish()
            await running.aclose()
            consumer, left = Counting(), durable.FILL
            await running.enter_async_context(
                await consume(transport, consumer, f"typed-{uuid4().hex}", handler_timeout=600)
            )
        await consumer.batch()
        left -= durable.BATCH

    await call()
    return call


async def _commanding(url: str) -> Call:
    accounts = await AsyncExitStack().enter_async_context(AccountsClient.connect(url))
    keys, order = durable.new_keys(), CreateOrder.model_validate(ORDER)

    async def call() -> None:
        await accounts.place_order(next(keys), order)

    confirmation = await accounts.place_order(next(keys), order)
    if confirmation.model_dump() != CONFIRMATION:
        raise ValueError(f"unexpected reply: {confirmation!r}")
    await durable.once_each(call)
    return call

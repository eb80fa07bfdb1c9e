"""Contender "weenats": typed events, published and subscribed to as generated code does."""

from contextlib import AsyncExitStack
from typing import Final

import nats

import events_raw
import typed
from harness import Call
from weenats import Event, NatsTransport, ReceivedEvent
from weenats.events import publish, subscribe
from workload import KEY, ORDER

ORDERED: Final = Event(
    name="ordered",
    contract=typed.CONTRACT,
    aggregate=typed.ORDERS,
    data=typed.CreateOrder,
    description="Something was ordered.",
)
_open: Final = AsyncExitStack()


async def serve(url: str) -> None:
    """Count what arrives, decoded and validated."""
    transport = NatsTransport(url)
    await transport.connect()
    tick = await events_raw.counter(await nats.connect(url), "typed")

    async def count_it(_: ReceivedEvent[typed.CreateOrder]) -> None:
        await tick()

    await _open.enter_async_context(await subscribe(transport, ORDERED, count_it))


async def connect(url: str) -> Call:
    """Publish a batch, wait until it has arrived."""
    arrived = await events_raw.arrivals(url, "typed")
    transport = NatsTransport(url)
    await transport.connect()
    order = typed.CreateOrder.model_validate(ORDER)

    async def call() -> None:
        for _ in range(events_raw.BATCH):
            await publish(transport, ORDERED, KEY, order)
        await arrived.get()

    await call()
    return call

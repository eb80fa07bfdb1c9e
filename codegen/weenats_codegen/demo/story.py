"""What the demo does with the generated package: it serves the handlers and calls them."""

import asyncio
from collections.abc import Awaitable
from time import perf_counter
from typing import TYPE_CHECKING, Final
from uuid import UUID

from receipts import (
    ITEM_ADDED,
    RECEIPTS_EVENTS_STREAM,
    AddItem,
    Customer,
    Finalize,
    InvalidReceiptStateError,
    ItemAdded,
    ItemNotFoundError,
    ReceiptNotFoundError,
    ReceiptsClient,
    RemoveItem,
)
from receipts.handlers import Receipts
from weenats.events import read_events
from weenats.model import Model
from weenats.service import NatsServiceBuilder
from weenats_codegen.demo.recorder import Recorder

if TYPE_CHECKING:
    from weenats.events import ReceivedEvent

_KEY: Final = "r-1"
_EVENT_TIMEOUT: Final = 5.0
"""Seconds that an event may take to arrive."""


async def run(url: str, recorder: Recorder) -> None:
    """Serve the handlers, call them, and record what happens.

    Args:
        url: The URL of a nats-server.
        recorder: Gets the steps.
    """
    recorder.chapter("the service: your handlers in the generated skeleton")
    service = NatsServiceBuilder(Receipts(), servers=url).build()
    async with service, ReceiptsClient.connect(url) as receipts:
        recorder.note(f"{service.contract.name} {service.contract.version} is running")
        await _calls(receipts, recorder)
        await _errors(receipts, recorder)
        await _discovery(receipts, recorder)
        recorder.chapter("the end")


async def _calls(receipts: ReceiptsClient, recorder: Recorder) -> None:
    recorder.chapter("typed calls and events")
    arrived: asyncio.Queue[ReceivedEvent[ItemAdded]] = asyncio.Queue()
    async with await receipts.subscribe_item_added(arrived.put, max_concurrency=1):
        for item in (
            AddItem(name="Tea", price=0.1, quantity=1),
            AddItem(name="Sugar", price=0.2, quantity=1),
            AddItem(name="Coffee", price=4.5, quantity=2),
        ):
            text = f"receipts.add_item({_KEY!r}, {item!r})"
            await _call(text, receipts.add_item(_KEY, item), recorder)
            event = await asyncio.wait_for(arrived.get(), _EVENT_TIMEOUT)
            recorder.event("item-added", event.key, event.revision, event.data)
    stored = [each async for each in read_events(receipts.transport, ITEM_ADDED, follow=False)]
    stream = RECEIPTS_EVENTS_STREAM.name
    recorder.note(f"durable: the stream {stream} keeps all {len(stored)} for consumers")
    await _call(f"receipts.get_receipt({_KEY!r})", receipts.get_receipt(_KEY), recorder)


async def _errors(receipts: ReceiptsClient, recorder: Recorder) -> None:
    recorder.chapter("declared errors, caught by their class")
    cake = AddItem(name="Cake", price=3.0, quantity=1)
    missing = RemoveItem(name="Cake")
    finalize = Finalize(customer=Customer(id=UUID(int=7), name="Ada"))
    for text, call in (
        (f"remove_item({_KEY!r}, {missing!r})", receipts.remove_item(_KEY, missing)),
        ("get_receipt('r-2')", receipts.get_receipt("r-2")),
        (f"finalize({_KEY!r}, {finalize!r})", receipts.finalize(_KEY, finalize)),
        (f"add_item({_KEY!r}, {cake!r})", receipts.add_item(_KEY, cake)),
    ):
        await _call(f"receipts.{text}", call, recorder)
    await _call("receipts.summary()", receipts.summary(), recorder)  # of all receipts: no key


async def _discovery(receipts: ReceiptsClient, recorder: Recorder) -> None:
    recorder.chapter("discovery and statistics, for all NATS tools (ADR-32)")
    for instance in await receipts.list_instances():
        recorder.note(f"{instance.name} {instance.version}, instance {instance.id}")
    health = await receipts.check_health()
    recorder.note(f"health: {health.status}")
    stats = await receipts.get_service_stats()
    recorder.statistics(stats.endpoints)


async def _call(text: str, call: Awaitable[Model], recorder: Recorder) -> None:
    start = perf_counter()
    try:
        result = await call
    except (ItemNotFoundError, ReceiptNotFoundError, InvalidReceiptStateError) as error:
        recorder.caught(text, error, (perf_counter() - start) * 1e3)
    else:
        recorder.reply(text, result, (perf_counter() - start) * 1e3)

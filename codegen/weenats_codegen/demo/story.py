"""What the demo does once the package is generated: plain use of the generated code."""

import asyncio
from collections.abc import Awaitable
from time import perf_counter
from typing import TYPE_CHECKING

from receipts import (
    AddItem,
    Finalize,
    InvalidReceiptStateError,
    ItemAdded,
    ItemNotFoundError,
    ReceiptNotFoundError,
    ReceiptsClient,
    RemoveItem,
)
from receipts.handlers import Receipts
from weenats.errors import ServiceError
from weenats.model import Model
from weenats.service import NatsServiceBuilder
from weenats_codegen.demo.runner import Teller

if TYPE_CHECKING:
    from weenats.events import ReceivedEvent

KEY = "r-1"
PATIENCE = 5.0
"""Seconds that an event may take to arrive."""


async def tell(url: str, teller: Teller) -> None:
    """Serve the handlers, use the client, show what happens."""
    teller.chapter("the service: your handlers under the generated skeleton")
    service = NatsServiceBuilder(Receipts(), servers=url).build()
    async with service, ReceiptsClient.connect(url) as receipts:
        teller.note(f"{service.contract.name} {service.contract.version} serves")
        await _calls(receipts, teller)
        await _errors(receipts, teller)
        await _discovery(receipts, teller)
        teller.chapter("the end")


async def _calls(receipts: ReceiptsClient, teller: Teller) -> None:
    teller.chapter("typed calls and events")
    arrived: asyncio.Queue[ReceivedEvent[ItemAdded]] = asyncio.Queue()
    async with await receipts.subscribe_item_added(arrived.put, max_concurrency=1):
        for item in (
            AddItem(name="Tea", price=0.1, quantity=1),
            AddItem(name="Sugar", price=0.2, quantity=1),
            AddItem(name="Coffee", price=4.5, quantity=2),
        ):
            text = f"receipts.add_item({KEY!r}, {item!r})"
            await _show(text, receipts.add_item(KEY, item), teller)
            event = await asyncio.wait_for(arrived.get(), PATIENCE)
            teller.event("item-added", event.key, event.revision, event.data)
    await _show(f"receipts.get({KEY!r})", receipts.get(KEY), teller)


async def _errors(receipts: ReceiptsClient, teller: Teller) -> None:
    teller.chapter("declared errors, caught by their class")
    missing = RemoveItem(name="Cake")
    text = f"receipts.remove_item({KEY!r}, {missing!r})"
    start = perf_counter()
    try:
        await receipts.remove_item(KEY, missing)
    except ItemNotFoundError as error:
        _caught(text, error, start, teller)

    start = perf_counter()
    try:
        await receipts.get("r-2")
    except ReceiptNotFoundError as error:
        _caught("receipts.get('r-2')", error, start, teller)

    await _show(
        f"receipts.finalize({KEY!r}, Finalize())", receipts.finalize(KEY, Finalize()), teller
    )
    late = AddItem(name="Cake", price=3.0, quantity=1)
    text = f"receipts.add_item({KEY!r}, {late!r})"
    start = perf_counter()
    try:
        await receipts.add_item(KEY, late)
    except InvalidReceiptStateError as error:
        _caught(text, error, start, teller)


async def _discovery(receipts: ReceiptsClient, teller: Teller) -> None:
    teller.chapter("discovery and statistics, as every NATS tool sees them (ADR-32)")
    for instance in await receipts.list_instances():
        teller.note(f"{instance.name} {instance.version}, instance {instance.id}")
    health = await receipts.check_health()
    teller.note(f"health: {health.status}")
    stats = await receipts.get_service_stats()
    teller.statistics(stats.endpoints)


async def _show(text: str, call: Awaitable[Model], teller: Teller) -> None:
    start = perf_counter()
    result = await call
    teller.reply(text, result, (perf_counter() - start) * 1e3)


def _caught(text: str, error: ServiceError, start: float, teller: Teller) -> None:
    teller.caught(text, error, (perf_counter() - start) * 1e3)

"""The receipts sample: generated client and handlers over the in-memory transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from receipts import (
    AddItem,
    EmptyReceiptError,
    Finalize,
    InvalidReceiptStateError,
    ItemAdded,
    ItemNotFoundError,
    ItemRemoved,
    ReceiptFinalized,
    ReceiptNotFoundError,
    ReceiptsClient,
    ReceiptVoided,
    RemoveItem,
    SummaryResult,
    VoidReceipt,
)
from receipts.handlers import Receipts
from weenats import FailedPreconditionError, NatsServiceBuilder, NotFoundError
from weenats.testing import MemoryTransport

COFFEE = AddItem(name="Coffee", price=4.5, quantity=2)


@dataclass
class Shop:
    """The running sample: its client and the received events."""

    client: ReceiptsClient
    events: list[tuple[str, int, Any]] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def on_event(self, event: Any) -> None:
        """Record an event."""
        self.events.append((event.key, event.revision, event.data))
        self._arrived.set()

    async def next_event(self) -> tuple[str, int, Any]:
        """Wait for the next event and return it."""
        while not self.events:
            self._arrived.clear()
            await self._arrived.wait()
        return self.events.pop(0)


@pytest.fixture
async def shop(memory_transport: MemoryTransport) -> AsyncIterator[Shop]:
    """The running sample, subscribed to all its events."""
    async with NatsServiceBuilder(Receipts(), transport=memory_transport).build():
        shop = Shop(ReceiptsClient(memory_transport))
        subscriptions = [
            await shop.client.subscribe_item_added(shop.on_event),
            await shop.client.subscribe_item_removed(shop.on_event),
            await shop.client.subscribe_receipt_finalized(shop.on_event),
            await shop.client.subscribe_receipt_voided(shop.on_event),
        ]
        yield shop
        for subscription in subscriptions:
            await subscription.unsubscribe()


async def test_first_item_opens_receipt(shop: Shop) -> None:
    """`add_item` returns the receipt, and `get` returns it as an entity."""
    receipt = await shop.client.add_item("r-1", COFFEE)
    assert (receipt.id, receipt.status, receipt.total) == ("r-1", "open", 9.0)
    entity = await shop.client.get_receipt("r-1")
    assert (entity.id.type, entity.id.key, entity.revision) == ("receipt", "r-1", 1)
    assert entity.state == receipt


async def test_totals_have_no_rounding_errors(shop: Shop) -> None:
    """0.1 + 0.2 is 0.3, and ten times 0.1 is 1."""
    await shop.client.add_item("r-1", AddItem(name="a", price=0.1, quantity=1))
    receipt = await shop.client.add_item("r-1", AddItem(name="b", price=0.2, quantity=1))
    assert receipt.total == 0.3
    receipt = await shop.client.add_item("r-2", AddItem(name="a", price=0.1, quantity=10))
    assert receipt.total == 1.0


async def test_each_change_publishes_event_with_revision(shop: Shop) -> None:
    """Adding, removing, finalizing and voiding each publish one event."""
    await shop.client.add_item("r-1", COFFEE)
    added = ItemAdded(name="Coffee", price=4.5, quantity=2, line_total=9.0)
    assert await shop.next_event() == ("r-1", 1, added)
    await shop.client.add_item("r-1", AddItem(name="Tea", price=3, quantity=1))
    assert (await shop.next_event())[1] == 2
    receipt = await shop.client.remove_item("r-1", RemoveItem(name="Coffee"))
    assert receipt.total == 3.0
    assert await shop.next_event() == ("r-1", 3, ItemRemoved(name="Coffee", refund_amount=9.0))
    receipt = await shop.client.finalize("r-1", Finalize())
    assert receipt.status == "closed"
    assert await shop.next_event() == ("r-1", 4, ReceiptFinalized(final_total=3.0, item_count=1))
    receipt = await shop.client.void_receipt("r-1", VoidReceipt(reason="a mistake"))
    assert receipt.status == "voided"
    voided = ReceiptVoided(reason="a mistake", voided_total=3.0)
    assert await shop.next_event() == ("r-1", 5, voided)


async def test_unknown_receipt_is_not_found(shop: Shop) -> None:
    """Every operation except `add_item` requires an existing receipt."""
    for call in (
        shop.client.get_receipt("none"),
        shop.client.finalize("none", Finalize()),
        shop.client.remove_item("none", RemoveItem(name="x")),
        shop.client.void_receipt("none", VoidReceipt(reason="x")),
    ):
        with pytest.raises(ReceiptNotFoundError, match="There is no such receipt"):
            await call


async def test_unknown_item_error_has_details(shop: Shop) -> None:
    """The declared error class is raised, with its code and typed details."""
    await shop.client.add_item("r-1", COFFEE)
    with pytest.raises(ItemNotFoundError) as caught:
        await shop.client.remove_item("r-1", RemoveItem(name="Cake"))
    assert isinstance(caught.value, NotFoundError)
    assert caught.value.details.name == "Cake"


async def test_empty_receipt_cannot_be_finalized(shop: Shop) -> None:
    """Finalizing requires at least one item."""
    await shop.client.add_item("r-1", COFFEE)
    await shop.client.remove_item("r-1", RemoveItem(name="Coffee"))
    with pytest.raises(EmptyReceiptError):
        await shop.client.finalize("r-1", Finalize())


async def test_closed_receipt_cannot_change(shop: Shop) -> None:
    """A closed receipt rejects changes, and the error contains its status."""
    await shop.client.add_item("r-1", COFFEE)
    await shop.client.finalize("r-1", Finalize())
    for call in (
        shop.client.add_item("r-1", COFFEE),
        shop.client.remove_item("r-1", RemoveItem(name="Coffee")),
        shop.client.finalize("r-1", Finalize()),
    ):
        with pytest.raises(InvalidReceiptStateError) as caught:
            await call
        assert isinstance(caught.value, FailedPreconditionError)
        assert caught.value.details.status == "closed"
    assert (await shop.client.get_receipt("r-1")).revision == 2


async def test_summary_counts_all_receipts(shop: Shop) -> None:
    """The query of the service itself counts all receipts, and adds up the closed ones."""
    for key in ("r-1", "r-2", "r-3"):
        await shop.client.add_item(key, COFFEE)
    await shop.client.finalize("r-1", Finalize())
    await shop.client.void_receipt("r-2", VoidReceipt(reason="-"))
    assert await shop.client.summary() == SummaryResult(open=1, closed=1, voided=1, total=9.0)


async def test_voided_receipt_cannot_be_voided_again(shop: Shop) -> None:
    """Voiding a receipt twice is rejected."""
    await shop.client.add_item("r-1", COFFEE)
    await shop.client.void_receipt("r-1", VoidReceipt(reason="x"))
    with pytest.raises(InvalidReceiptStateError):
        await shop.client.void_receipt("r-1", VoidReceipt(reason="x"))


async def test_client_publishes_event(shop: Shop) -> None:
    """The generated client has methods that publish events."""
    data = ItemAdded(name="Coffee", price=4.5, quantity=2, line_total=9.0)
    await shop.client.publish_item_added("r-9", data, revision=7)
    assert await shop.next_event() == ("r-9", 7, data)

"""The second sample: a key with a format, a lifespan, calls and events of the first sample."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

import loyalty as loyalty_package
import receipts as receipts_package
import shop
from loyalty import (
    Card,
    Collect,
    LoyaltyClient,
    LoyaltySyncClient,
    OtherCustomerError,
    PointsCollected,
    ReceiptNotClosedError,
    ReceiptsByStatusParameters,
)
from loyalty.handlers import Loyalty
from receipts import (
    AddItem,
    Customer,
    Finalize,
    ReceiptsClient,
    ReceiptsSyncClient,
    ReceiptStatus,
    RemoveItem,
    VoidReceipt,
)
from receipts.handlers import Receipts
from weenats import InvalidArgumentError, NatsServiceBuilder, ReceivedEvent, UnavailableError
from weenats.testing import NatsServer, serving

CARD = UUID("7b5cbb3a-6b3c-4c39-9d0b-5c3e3a0f2f4e")
OTHER = UUID(int=1)
ADA = Customer(id=CARD, name="Ada")
STATUSES: tuple[ReceiptStatus, ...] = ("open", "closed", "voided")
COFFEE = AddItem(name="Coffee", price=4.5, quantity=3)


@pytest.fixture
async def receipts(nats_url: str) -> AsyncIterator[ReceiptsClient]:
    """A client of the running receipts service."""
    async with (
        NatsServiceBuilder(Receipts(), nats_url).build(),
        ReceiptsClient.connect(nats_url) as client,
    ):
        yield client


def test_services_share_a_class() -> None:
    """The customer of receipts is the customer of loyalty, that of their library."""
    assert receipts_package.Customer is loyalty_package.Customer is shop.Customer


async def test_points_of_closed_receipts(receipts: ReceiptsClient, nats_url: str) -> None:
    """A closed receipt gives its customer points once; others give none."""
    service = NatsServiceBuilder(Loyalty(), nats_url).build()
    events: asyncio.Queue[ReceivedEvent[PointsCollected, UUID]] = asyncio.Queue()
    async with (
        service,
        LoyaltyClient.connect(nats_url) as loyalty,
        await loyalty.subscribe_points_collected(events.put),
    ):
        for key in ("r-1", "r-2", "r-3"):
            await receipts.add_item(key, COFFEE)
        await receipts.finalize("r-1", Finalize(customer=ADA))
        await receipts.void_receipt("r-3", VoidReceipt(reason="-"))
        for _ in range(2):
            await loyalty.collect(CARD, Collect(receipt="r-1"))
        with pytest.raises(OtherCustomerError):
            await loyalty.collect(OTHER, Collect(receipt="r-1"))
        for key in ("r-2", "r-3", "r-4"):
            with pytest.raises(ReceiptNotClosedError):
                await loyalty.collect(CARD, Collect(receipt=key))
        shown = await loyalty.get_card(CARD)
        assert (shown.id.key, shown.state, shown.revision) == (str(CARD), Card(points=13), 1)
        assert (await loyalty.get_card(OTHER)).state.points == 0
        with pytest.raises(InvalidArgumentError):
            await loyalty.get_card("c-1")  # type: ignore[arg-type]
        event = await events.get()
        assert (event.key, event.data) == (CARD, PointsCollected(customer=ADA, points=13))
    assert events.empty()


async def test_points_outlive_the_service(
    receipts: ReceiptsClient, nats_url: str, tmp_path: Path
) -> None:
    """The lifespan opens the database of the run before, and closes it at the end."""
    await receipts.add_item("r-1", COFFEE)
    await receipts.finalize("r-1", Finalize(customer=ADA))
    async with LoyaltyClient.connect(nats_url) as loyalty:
        for revision in (0, 1):
            handlers = Loyalty(str(tmp_path / "points.db"))
            async with NatsServiceBuilder(handlers, nats_url).build():
                assert (await loyalty.get_card(CARD)).revision == revision
                await loyalty.collect(CARD, Collect(receipt="r-1"))


async def test_receipts_by_status(own_nats_server: NatsServer) -> None:
    """The projection has all receipts by their status, also those from before it ran."""
    url, handlers = own_nats_server.url, Loyalty()
    async with (
        NatsServiceBuilder(Receipts(), url).build(),
        ReceiptsClient.connect(url) as receipts,
        LoyaltyClient.connect(url, verify="off") as loyalty,
    ):
        for key in ("r-1", "r-2", "r-3", "r-4"):
            await receipts.add_item(key, COFFEE)
        await receipts.finalize("r-1", Finalize(customer=ADA))
        await receipts.finalize("r-2", Finalize())
        async with NatsServiceBuilder(handlers, url).build():
            await handlers.by_status.caught_up()
            assert await by_status(loyalty) == [["r-3", "r-4"], ["r-1", "r-2"], []]
            await receipts.remove_item("r-4", RemoveItem(name=COFFEE.name))
            for key in ("r-2", "r-3"):
                await receipts.void_receipt(key, VoidReceipt(reason="-"))
            await handlers.by_status.caught_up()
            assert await by_status(loyalty) == [["r-4"], ["r-1"], ["r-2", "r-3"]]


async def by_status(loyalty: LoyaltyClient) -> list[list[str]]:
    """Return the keys of the receipts that are open, closed and voided."""
    parameters = [ReceiptsByStatusParameters(status=each) for each in STATUSES]
    return [sorted(await loyalty.receipts_by_status(each)) for each in parameters]


async def test_missing_service_is_unavailable(nats_url: str) -> None:
    """While nobody serves receipts, points cannot be collected."""
    service = NatsServiceBuilder(Loyalty(), nats_url).build()
    async with service, LoyaltyClient.connect(nats_url) as loyalty:
        with pytest.raises(UnavailableError):
            await loyalty.collect(CARD, Collect(receipt="r-1"))


def test_script_calls_both_services(nats_url: str) -> None:
    """A synchronous program shares one connection between the clients of both services."""
    both = (NatsServiceBuilder(each, nats_url).build() for each in (Receipts(), Loyalty()))
    with serving(next(both)), serving(next(both)), ReceiptsSyncClient.connect(nats_url) as receipts:
        loyalty = LoyaltySyncClient.sharing(receipts)
        receipts.add_item("r-1", COFFEE)
        assert receipts.summary().open == 1
        receipts.finalize("r-1", Finalize(customer=ADA))
        loyalty.collect(CARD, Collect(receipt="r-1"))
        assert loyalty.get_card(CARD).state.points == 13

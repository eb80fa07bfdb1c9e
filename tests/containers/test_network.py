"""The sample with a nats-server in a container: a real network and a real crash."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from receipts import AddItem, ItemAdded, ReceiptsClient
from testkit.core_receipts import CoreReceipts
from testkit.nats_container import NatsContainer
from testkit.waiting import LIMIT
from weenats.errors import DeadlineExceededError, UnavailableError
from weenats.events import ReceivedEvent
from weenats.service import NatsServiceBuilder

TEA = AddItem(name="Tea", price=0.1, quantity=3)


@pytest.fixture
def container(image: str) -> Iterator[NatsContainer]:
    """A nats-server for one test, which may freeze or crash it."""
    with NatsContainer(image) as running:
        yield running


@pytest.fixture
async def receipts(container: NatsContainer) -> AsyncIterator[ReceiptsClient]:
    """A client of the sample service; both have their own connection."""
    service = NatsServiceBuilder(CoreReceipts(), servers=container.url).build()
    async with service, ReceiptsClient.connect(container.url) as client:
        yield client


async def test_calls_events_and_discovery(receipts: ReceiptsClient) -> None:
    """Calls, events and discovery work as with a local server."""
    arrived: asyncio.Queue[ReceivedEvent[ItemAdded]] = asyncio.Queue()
    async with await receipts.subscribe_item_added(arrived.put):
        assert (await receipts.add_item("r-1", TEA)).total == 0.3
        event = await asyncio.wait_for(arrived.get(), LIMIT)
    assert (event.key, event.data.name) == ("r-1", "Tea")
    assert [instance.name for instance in await receipts.list_instances()] == ["receipts"]


async def test_frozen_server_fails_calls_at_their_deadline(
    receipts: ReceiptsClient, container: NatsContainer
) -> None:
    """While the server is frozen, a call times out; afterwards calls succeed."""
    await receipts.add_item("r-1", TEA)
    container.pause()
    try:
        with pytest.raises(DeadlineExceededError):
            await receipts.get_receipt("r-1", timeout=0.3)
    finally:
        container.resume()
    assert (await receipts.get_receipt("r-1")).revision == 1


async def test_reconnect_after_a_server_crash(
    receipts: ReceiptsClient, container: NatsContainer
) -> None:
    """Service and client reconnect to a server that crashed and came back."""
    await receipts.add_item("r-1", TEA)
    await container.crash()
    revision = 0
    async with asyncio.timeout(LIMIT):
        while not revision:  # the client may be back before the service: nobody listens then
            with contextlib.suppress(UnavailableError):
                revision = (await receipts.get_receipt("r-1", timeout=20)).revision
    assert revision == 1

"""The same service against a nats-server in a container: a real network between, a real crash."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from receipts import AddItem, ItemAdded, ReceiptsClient
from receipts.handlers import Receipts
from testkit.nats_container import NatsContainer
from testkit.waiting import LIMIT
from weenats.errors import DeadlineExceededError, UnavailableError
from weenats.events import ReceivedEvent
from weenats.service import NatsServiceBuilder

TEA = AddItem(name="Tea", price=0.1, quantity=3)


@pytest.fixture
def container(image: str) -> Iterator[NatsContainer]:
    """A nats-server for one test, which may freeze it or let it crash."""
    with NatsContainer(image) as running:
        yield running


@pytest.fixture
async def receipts(container: NatsContainer) -> AsyncIterator[ReceiptsClient]:
    """The sample service and its client, each on a connection of its own."""
    service = NatsServiceBuilder(Receipts(), servers=container.url).build()
    async with service, ReceiptsClient.connect(container.url) as client:
        yield client


async def test_calls_events_discovery(receipts: ReceiptsClient) -> None:
    """What works on the embedded server works on one in a container."""
    arrived: asyncio.Queue[ReceivedEvent[ItemAdded]] = asyncio.Queue()
    async with await receipts.subscribe_item_added(arrived.put):
        assert (await receipts.add_item("r-1", TEA)).total == 0.3
        event = await asyncio.wait_for(arrived.get(), LIMIT)
    assert (event.key, event.data.name) == ("r-1", "Tea")
    assert [instance.name for instance in await receipts.list_instances()] == ["receipts"]


async def test_a_frozen_server_costs_the_timeout_and_no_more(
    receipts: ReceiptsClient, container: NatsContainer
) -> None:
    """While nothing moves, a call ends at its deadline; once it moves again, calls succeed."""
    await receipts.add_item("r-1", TEA)
    container.pause()
    try:
        with pytest.raises(DeadlineExceededError):
            await receipts.get("r-1", timeout=0.3)
    finally:
        container.resume()
    assert (await receipts.get("r-1")).revision == 1


async def test_a_crash_is_survived(receipts: ReceiptsClient, container: NatsContainer) -> None:
    """A server that dies and comes back is found again, by the service and by the client."""
    await receipts.add_item("r-1", TEA)
    await container.crash()
    revision = 0
    async with asyncio.timeout(LIMIT):
        while not revision:  # the client may be back before the service: nobody listens then
            with contextlib.suppress(UnavailableError):
                revision = (await receipts.get("r-1", timeout=20)).revision
    assert revision == 1

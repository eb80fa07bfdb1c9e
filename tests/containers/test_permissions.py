"""NATS permissions: using a denied subject fails immediately."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from receipts import ReceiptsClient
from testkit.core_receipts import CoreReceipts
from testkit.counting_receipts import TEA, CountingReceipts
from testkit.nats_container import NatsContainer
from testkit.waiting import LIMIT
from weenats import ConnectionOptions, NatsServiceBuilder, PermissionDeniedError

ADD_ITEM = "receipts.command.receipt.add-item"
CONFIG = f"""
authorization {{
  users = [
    {{ user: "all", password: "x" }}
    {{ user: "reader", password: "x", permissions: {{ publish: {{ deny: ["{ADD_ITEM}"] }} }} }}
    {{ user: "deaf", password: "x", permissions: {{ subscribe: {{ deny: ["{ADD_ITEM}"] }} }} }}
  ]
}}
"""


@pytest.fixture(scope="module")
def guarded(image: str) -> Iterator[NatsContainer]:
    """A server whose users have restricted permissions."""
    with NatsContainer(image, CONFIG) as running:
        yield running


async def test_denied_call(guarded: NatsContainer) -> None:
    """A denied call fails immediately and names the subject; other calls succeed."""
    handlers = CountingReceipts()
    everything = ConnectionOptions(user="all", password="x")
    reader = ConnectionOptions(user="reader", password="x")
    service = NatsServiceBuilder(handlers, guarded.url, connection=everything).build()
    async with (
        service,
        ReceiptsClient.connect(guarded.url, connection=everything) as allowed,
        ReceiptsClient.connect(guarded.url, connection=reader, timeout=60) as denied,
    ):
        await allowed.add_item("r-1", TEA)
        for _ in range(2):
            with pytest.raises(PermissionDeniedError, match=ADD_ITEM):
                await asyncio.wait_for(denied.add_item("r-1", TEA), LIMIT)
        assert (await denied.get_receipt("r-1")).revision == 1
    assert handlers.executed == {"r-1": 1}


async def test_service_with_a_denied_operation(guarded: NatsContainer) -> None:
    """A service that cannot subscribe to an operation does not start and names it."""
    deaf = ConnectionOptions(user="deaf", password="x")
    service = NatsServiceBuilder(CoreReceipts(), guarded.url, connection=deaf).build()
    with pytest.raises(PermissionDeniedError, match=ADD_ITEM):
        await asyncio.wait_for(service.start(), LIMIT)
    assert asyncio.all_tasks() == {asyncio.current_task()}

"""Circuit breaker states: closed, open, half-open, and closed again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from typing_extensions import override

from receipts import AddItem, Receipt, ReceiptsClient
from testkit.core_receipts import CoreReceipts
from testkit.counting_receipts import TEA
from testkit.waiting import LIMIT, until
from weenats import (
    CircuitStateChange,
    InternalError,
    NatsServiceBuilder,
    RequestContext,
    UnavailableError,
)

THRESHOLD = 3


class FlakyReceipts(CoreReceipts):
    """Handlers that a test can make fail or block."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.opened = asyncio.Event()
        self.opened.set()
        self.entered = 0

    @override
    async def add_item(self, key: str, command: AddItem, context: RequestContext) -> Receipt:
        """Fail when broken; else wait until opened."""
        self.entered += 1
        if self.broken:
            raise OSError("the disk is gone")
        await self.opened.wait()
        return await super().add_item(key, command, context)


@pytest.fixture
def changes() -> list[tuple[str, str]]:
    """The state changes of the breaker, as pairs of old and new state."""
    return []


@pytest.fixture
def handlers() -> FlakyReceipts:
    """Handlers that work."""
    return FlakyReceipts()


@pytest.fixture
async def receipts(
    url: str, handlers: FlakyReceipts, changes: list[tuple[str, str]]
) -> AsyncIterator[ReceiptsClient]:
    """A client of a service whose breaker has a short recovery timeout."""

    def note(change: CircuitStateChange) -> None:
        changes.append((change.old, change.new))

    builder = NatsServiceBuilder(handlers, url).with_circuit_breaker(
        THRESHOLD, recovery_timeout=0.3, listener=note
    )
    async with builder.build(), ReceiptsClient.connect(url, timeout=30) as client:
        yield client


async def fail_until_open(receipts: ReceiptsClient, handlers: FlakyReceipts) -> None:
    """Make calls fail until the breaker is open and rejects the next one."""
    handlers.broken = True
    for _ in range(THRESHOLD):
        with pytest.raises(InternalError):
            await receipts.add_item("r-1", TEA)
    with pytest.raises(UnavailableError) as refused:
        await receipts.add_item("r-1", TEA)
    assert refused.value.remote
    assert handlers.entered == THRESHOLD


async def trial_call(receipts: ReceiptsClient, handlers: FlakyReceipts) -> asyncio.Task[Receipt]:
    """Call until one call reaches the handler; return that call."""
    before = handlers.entered
    async with asyncio.timeout(LIMIT):
        while True:
            call = asyncio.create_task(receipts.add_item("r-1", TEA))
            await until(lambda: call.done() or handlers.entered > before)  # noqa: B023 - awaited here
            if handlers.entered > before:
                return call
            assert isinstance(call.exception(), UnavailableError)


async def test_breaker_opens_and_recovers(
    receipts: ReceiptsClient, handlers: FlakyReceipts, changes: list[tuple[str, str]]
) -> None:
    """Failures open the breaker; a successful trial call closes it again."""
    await fail_until_open(receipts, handlers)
    handlers.broken = False
    handlers.opened.clear()
    trial = await trial_call(receipts, handlers)
    with pytest.raises(UnavailableError):
        await receipts.add_item("r-1", TEA)
    handlers.opened.set()
    assert (await trial).total == 0.3
    assert (await receipts.add_item("r-1", TEA)).total == 0.6
    assert changes == [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]


async def test_failed_trial_call_reopens_the_breaker(
    receipts: ReceiptsClient, handlers: FlakyReceipts, changes: list[tuple[str, str]]
) -> None:
    """After a failed trial call the handler gets no calls until the next trial."""
    await fail_until_open(receipts, handlers)
    with pytest.raises(InternalError):
        await (await trial_call(receipts, handlers))
    with pytest.raises(UnavailableError):
        await receipts.add_item("r-1", TEA)
    assert handlers.entered == THRESHOLD + 1
    assert changes == [("closed", "open"), ("open", "half-open"), ("half-open", "open")]

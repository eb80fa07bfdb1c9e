"""Three instances in one queue group share the work and can be replaced one by one."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from itertools import count

from receipts import ReceiptsClient
from testkit.counting_receipts import TEA, CountingReceipts
from weenats import NatsService, NatsServiceBuilder

CALLS = 600
CALLERS = 32


def build(url: str, handlers: CountingReceipts) -> NatsService:
    """Return an instance in the shared queue group."""
    builder = NatsServiceBuilder(handlers, url)
    return builder.with_queue_group("receipts", max_concurrency=100, max_queue=10_000).build()


async def test_instances_share_calls_without_duplicates(url: str) -> None:
    """Each call is executed exactly once, and every instance executes some."""
    instances = [CountingReceipts() for _ in range(3)]
    async with AsyncExitStack() as stack:
        for handlers in instances:
            await stack.enter_async_context(build(url, handlers))
        client = await stack.enter_async_context(ReceiptsClient.connect(url, timeout=30))
        await asyncio.gather(*(client.add_item(f"r-{n}", TEA) for n in range(CALLS)))
        assert len(await client.list_instances()) == 3
    assert all(handlers.executed for handlers in instances)
    executed = sum((handlers.executed for handlers in instances), Counter[str]())
    assert executed == Counter(f"r-{n}" for n in range(CALLS))


async def test_rolling_restart_under_load(url: str) -> None:
    """Replacing all instances one by one fails no calls and executes none twice."""
    executed = Counter[str]()
    answered = Counter[str]()
    numbers = count()
    done = asyncio.Event()

    async def keep_calling(client: ReceiptsClient) -> None:
        while not done.is_set():
            key = f"r-{next(numbers)}"
            await client.add_item(key, TEA)
            answered[key] += 1

    running: list[NatsService] = []
    new: list[CountingReceipts] = []
    async with ReceiptsClient.connect(url, timeout=30) as client:
        for _ in range(3):
            running.append(build(url, CountingReceipts(executed)))
            await running[-1].start()
        async with asyncio.TaskGroup() as load:
            for _ in range(CALLERS):
                load.create_task(keep_calling(client))
            for _ in range(3):
                before = len(answered)
                new.append(CountingReceipts(executed))
                replacement = build(url, new[-1])
                await replacement.start()
                await running.pop(0).stop()
                running.append(replacement)
                while len(answered) < before + 200:  # noqa: ASYNC110 - the load goes on
                    await asyncio.sleep(0)
            done.set()
        for instance in running:
            await instance.stop()
    assert len(answered) > 600
    assert executed == answered
    assert all(handlers.callers for handlers in new)

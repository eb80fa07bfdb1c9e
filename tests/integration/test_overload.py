"""More calls than the service can handle: admitted calls stay fast."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections import Counter
from time import monotonic
from typing import Final

import pytest

from testkit.probe import Outcome, Probe, ProbeClient, Run
from weenats import (
    DeadlineExceededError,
    NatsServiceBuilder,
    RequestContext,
    ResourceExhaustedError,
    ServiceError,
)

CONCURRENCY: Final = 10
SERVICE_TIME: Final = 0.2  # so long that the machine has little to do, whatever measures it
CAPACITY: Final = CONCURRENCY / SERVICE_TIME
"""Calls a second that the service can do; time bounds it, not this machine."""
SECONDS: Final = 10
OVERLOAD: Final = 5
TICK: Final = 0.01
WORK: Final = Run(action="work")


class SlowProbe(Probe):
    """A probe whose command takes SERVICE_TIME; it counts the started calls."""

    begun = 0

    async def run(self, key: str, command: Run, context: RequestContext) -> Outcome:
        """Wait for the service time."""
        self.begun += 1
        await asyncio.sleep(SERVICE_TIME)
        return Outcome(text=key)


class Load:
    """An open-loop load: calls start whether or not earlier ones were answered."""

    def __init__(self, client: ProbeClient) -> None:
        self._client = client
        self._calls: set[asyncio.Task[None]] = set()
        self.latencies: list[float] = []
        self.outcomes: Counter[type] = Counter()

    async def call(self) -> None:
        """Make one call and record its outcome."""
        started = monotonic()
        try:
            await self._client.run("k", WORK)
        except ServiceError as error:
            self.outcomes[type(error)] += 1
        else:
            self.outcomes[Outcome] += 1
            self.latencies.append(monotonic() - started)

    async def offer(self, rate: float, seconds: float) -> None:
        """Start calls at this rate for so many seconds."""
        begun, started = 0, monotonic()
        while (elapsed := monotonic() - started) < seconds:
            while begun < elapsed * rate:
                begun += 1
                call = asyncio.create_task(self.call())
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
            await asyncio.sleep(TICK)

    async def finish(self) -> None:
        """Wait for the calls in progress."""
        while self._calls:
            await asyncio.wait(self._calls)


def p99(latencies: list[float]) -> float:
    """Return the 99th percentile."""
    return sorted(latencies)[int(len(latencies) * 0.99)]


def memory() -> int:
    """Return the traced memory in bytes."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def overload(url: str) -> tuple[Load, Load, int]:
    """Offer half the capacity, then five times as much; return both loads and memory growth."""
    builder = NatsServiceBuilder(SlowProbe(), url).with_queue_group(
        "probe", CONCURRENCY, max_queue=CONCURRENCY // 2, max_queue_time=SERVICE_TIME
    )
    async with builder.build(), ProbeClient.connect(url, timeout=1) as client:
        unloaded, loaded = Load(client), Load(client)
        await unloaded.offer(CAPACITY / 2, 2)
        await unloaded.finish()
        tracemalloc.start()
        try:
            await loaded.offer(CAPACITY * OVERLOAD, SECONDS * 0.3)
            before = memory()
            await loaded.offer(CAPACITY * OVERLOAD, SECONDS * 0.7)
            grown = memory() - before
        finally:
            tracemalloc.stop()
        await loaded.finish()
    return unloaded, loaded, grown


@pytest.mark.timing
@pytest.mark.timeout(240)
async def test_admitted_calls_stay_fast_at_five_times_the_capacity(nats_url: str) -> None:
    """Admitted calls stay fast and throughput stays at capacity, in one of three runs."""
    shortfalls: list[str] = []
    for _ in range(3):
        unloaded, loaded, grown = await overload(nats_url)
        assert set(unloaded.outcomes) == {Outcome}
        assert set(loaded.outcomes) <= {Outcome, ResourceExhaustedError, DeadlineExceededError}
        assert grown < 1_000_000
        offered = loaded.outcomes.total() / (OVERLOAD * CAPACITY * SECONDS)
        goodput = loaded.outcomes[Outcome] / (CAPACITY * SECONDS)
        bound = 2 * p99(unloaded.latencies) + SERVICE_TIME
        if offered >= 0.95 and goodput >= 0.9 and p99(loaded.latencies) <= bound:
            return
        shortfalls.append(
            f"{offered=:.2f} {goodput=:.2f} {p99(loaded.latencies)=:.3f} {bound=:.3f}"
        )
    pytest.fail("; ".join(shortfalls))


@pytest.mark.timing
async def test_calls_without_enough_time_are_not_started(nats_url: str) -> None:
    """Under overload with short deadlines most of the started calls are still answered."""
    handlers = SlowProbe()
    builder = NatsServiceBuilder(handlers, nats_url).with_queue_group(
        "probe", CONCURRENCY, max_queue=2 * CONCURRENCY
    )
    async with (
        builder.build(),
        ProbeClient.connect(nats_url, timeout=2.5 * SERVICE_TIME) as client,
    ):
        await Load(client).offer(CAPACITY * OVERLOAD, 1)
        load, before = Load(client), handlers.begun
        await load.offer(CAPACITY * OVERLOAD, 3)
        await load.finish()
    assert load.outcomes[Outcome] >= 0.8 * (handlers.begun - before)
    assert load.outcomes[DeadlineExceededError] > 0

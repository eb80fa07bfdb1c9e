"""Circuit breakers over a real server, with concurrent callers and in STATS."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from testkit.clocks import FakeClock
from testkit.probe import NotReadyError, Outcome, Probe, ProbeClient, Run
from testkit.waiting import LIMIT, until
from testkit.wire import assert_valid
from weenats import (
    CircuitStateChange,
    InternalError,
    NatsServiceBuilder,
    RequestContext,
    ServiceError,
    UnavailableError,
)
from weenats.circuit_breaker import CircuitBreakerPolicy

if TYPE_CHECKING:
    from nats.aio.client import Client as RawClient

CALLERS = 200
TRIALS = 3


class Backend:
    """A dependency of the handler that works, fails or blocks its callers."""

    def __init__(self) -> None:
        self.works = True
        self.calls = 0
        self.held = asyncio.Event()
        self.held.set()

    async def __call__(self, key: str, command: Run, context: RequestContext) -> Outcome:
        """Answer, or fail."""
        self.calls += 1
        await self.held.wait()
        if not self.works:
            raise ConnectionRefusedError
        return Outcome(text=key)


class BreakerScenario:
    """A probe with a breaker of three failures and three trials, and 200 callers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = FakeClock()
        self.backend = Backend()
        self.changes: list[str] = []
        self.client: ProbeClient

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[BreakerScenario]:
        """Run the service and a client of it."""
        builder = NatsServiceBuilder(Probe(work=self.backend), self.url)
        builder = builder.with_queue_group("probe", max_concurrency=CALLERS)
        policy = CircuitBreakerPolicy(
            failure_threshold=3,
            half_open_max_calls=TRIALS,
            listener=self._note,
            clock=self.clock,
        )
        builder = builder._with_breakers(policy)
        async with builder.build(), ProbeClient.connect(self.url, timeout=20) as self.client:
            yield self

    def _note(self, change: CircuitStateChange) -> None:
        self.changes.append(change.new)

    async def rush(self) -> Counter[str]:
        """Make all calls at once and count the outcomes; the trial calls finish last."""
        before = self.backend.calls
        self.backend.held.clear()
        calls = [asyncio.create_task(self._call()) for _ in range(CALLERS)]
        await until(lambda: sum(call.done() for call in calls) == CALLERS - TRIALS)
        assert self.backend.calls == before + TRIALS
        self.backend.held.set()
        return Counter(await asyncio.gather(*calls))

    async def storm(self) -> Counter[str]:
        """Make all calls at once and count the outcomes."""
        return Counter(await asyncio.gather(*(self._call() for _ in range(CALLERS))))

    async def _call(self) -> str:
        try:
            await self.client.run("k", Run(action="work"))
        except UnavailableError as error:
            return "refused" if error.remote and error.retry_after else "lost"
        except InternalError:
            return "failed"
        return "answered"


async def test_breaker_state_cycle_with_200_callers(nats_url: str) -> None:
    """Closed, open, half-open and back: the handler gets exactly the trial calls."""
    async with BreakerScenario(nats_url).serving() as it:
        assert await it.storm() == {"answered": CALLERS}
        it.backend.works = False
        told = await it.storm()
        assert told["failed"] >= 3
        assert set(told) <= {"failed", "refused"}
        assert await it.storm() == {"refused": CALLERS}
        it.clock.now += 30
        assert await it.rush() == {"refused": CALLERS - TRIALS, "failed": TRIALS}
        assert await it.storm() == {"refused": CALLERS}
        it.clock.now += 30
        it.backend.works = True
        assert await it.rush() == {"refused": CALLERS - TRIALS, "answered": TRIALS}
        assert await it.storm() == {"answered": CALLERS}
        it.backend.works = False
        await it.storm()
        assert it.changes == [
            "open",
            "half-open",
            "open",
            "half-open",
            "closed",
            "open",
        ]


async def test_timed_out_trial_call_reopens_the_breaker(
    nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial call that ends at its deadline opens the breaker again."""
    monkeypatch.setattr("weenats.circuit_breaker.guard.DEFAULT_TIMEOUT", 0.001)
    async with BreakerScenario(nats_url).serving() as it:
        it.backend.works = False
        await it.storm()
        it.clock.now += 30
        it.backend.held.clear()
        async with asyncio.timeout(LIMIT):
            while len(it.changes) < 3:
                with pytest.raises(ServiceError):
                    await it.client.run("k", Run(action="work"), timeout=0.05)
        assert it.changes == ["open", "half-open", "open"]
        it.backend.held.set()


async def test_declared_errors_do_not_open_the_breaker(nats_url: str) -> None:
    """Declared errors do not count as failures."""

    async def decline(key: str, command: Run, context: RequestContext) -> Any:
        raise NotReadyError

    builder = NatsServiceBuilder(Probe(decline=decline), nats_url)
    async with (
        builder.with_circuit_breaker(failure_threshold=1).build(),
        ProbeClient.connect(nats_url) as client,
    ):
        for _ in range(20):
            with pytest.raises(NotReadyError):
                await client.run("k", Run(action="decline"))


async def test_stats_contain_the_breaker_state(nats_url: str, raw: RawClient) -> None:
    """STATS contains the state, the counters and the time of the next trial."""
    async with BreakerScenario(nats_url).serving() as it:
        assert [await _breaker_stats(raw, number) for number in range(4)] == [
            {"state": "closed", "failures": 0, "refused": 0, "opened": 0}
        ] * 4
        it.backend.works = False
        await it.storm()
        await it.storm()
        run, forget = await _breaker_stats(raw, 0), await _breaker_stats(raw, 1)
        assert (run["state"], run["failures"], run["opened"]) == ("open", 3, 1)
        assert run["refused"] >= CALLERS
        assert datetime.fromisoformat(run["nextTrial"]) > datetime.now(UTC)
        assert forget["state"] == "closed"
        it.clock.now += 30
        it.backend.works = True
        await it.rush()
        closed = await _breaker_stats(raw, 0)
        assert (closed["state"], closed["failures"], closed["opened"]) == ("closed", 0, 1)
        assert "nextTrial" not in closed


async def _breaker_stats(raw: RawClient, endpoint: int) -> dict[str, Any]:
    reply = json.loads((await raw.request("$SRV.STATS.probe", b"")).data)
    assert_valid("stats-response", reply)
    data = reply["endpoints"][endpoint]["data"]
    assert [*data] == ["circuitBreaker"]
    told: dict[str, Any] = data["circuitBreaker"]
    return told

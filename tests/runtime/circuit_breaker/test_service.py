"""A service behind a circuit breaker: what reaches it, what its callers and its statistics see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from testkit.clocks import FakeClock
from testkit.probe import FindParameters, NotReadyError, Outcome, Probe, ProbeClient, Run
from testkit.waiting import LIMIT, until
from weenats import (
    CallNext,
    InternalError,
    InvalidArgumentError,
    NatsServiceBuilder,
    RequestContext,
    Response,
    UnavailableError,
)
from weenats.circuit_breaker import CircuitBreakerPolicy
from weenats.errors import ServiceError
from weenats.testing import MemoryTransport

GO = Run(action="go")
FAIL = Run(action="fail")
HOLD = Run(action="hold")


class Stage:
    """A served probe whose `run` answers, fails or waits, on a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.transport = MemoryTransport()
        self.client = ProbeClient(self.transport)
        self.entered = 0
        self.opened = asyncio.Event()
        self.handlers = Probe(fail=self._fail, hold=self._hold)

    async def _fail(self, key: str, command: Run, context: RequestContext) -> Any:
        raise ValueError(key)

    async def _hold(self, key: str, command: Run, context: RequestContext) -> Outcome:
        self.entered += 1
        await self.opened.wait()
        return Outcome(text=key)

    async def fail(self, times: int = 1) -> None:
        """Let calls fail."""
        for _ in range(times):
            with pytest.raises(InternalError):
                await self.client.run("k", FAIL)

    async def data(self) -> Any:
        """Return what STATS tells of the breaker of `run`."""
        stats = await self.client.get_service_stats()
        return stats.endpoints[0].model_dump()["data"]["circuitBreaker"]

    @asynccontextmanager
    async def serving(self, builder: NatsServiceBuilder | None = None) -> AsyncIterator[Stage]:
        """Serve, with a breaker that three failures open unless the test has built another."""
        base = builder or NatsServiceBuilder(self.handlers, transport=self.transport)
        policy = CircuitBreakerPolicy(failure_threshold=3, clock=self.clock)
        async with base._with_breakers(policy).build():
            yield self


async def test_open_answers_without_the_handler() -> None:
    """UNAVAILABLE with retryAfter, from the service; the handler sees nothing of it."""
    async with Stage().serving() as stage:
        await stage.fail(3)
        seen = len(stage.handlers.seen)
        with pytest.raises(UnavailableError, match="circuit breaker of run is open") as raised:
            await stage.client.run("k", GO)
        assert raised.value.remote
        assert raised.value.retry_after == 30
        assert len(stage.handlers.seen) == seen
        assert (await stage.client.find("k", FindParameters(pattern="p"))).text == "k p"


async def test_it_stands_behind_the_whole_chain() -> None:
    """What an interceptor refuses or raises is no failure; an open breaker refuses last."""
    outcome: list[Exception] = []

    async def moody(context: RequestContext, call_next: CallNext) -> Response:
        if outcome:
            raise outcome[0]
        return await call_next(context)

    stage = Stage()
    base = NatsServiceBuilder(stage.handlers, transport=stage.transport).with_interceptor(moody)
    async with stage.serving(base):
        for error in (InternalError(), UnavailableError(), ValueError()):
            outcome[:] = [error]
            for _ in range(5):
                with pytest.raises(ServiceError):
                    await stage.client.run("k", GO)
        outcome.clear()
        assert (await stage.data())["failures"] == 0
        await stage.fail(3)
        outcome[:] = [NotReadyError()]
        with pytest.raises(NotReadyError):
            await stage.client.run("k", GO)
        assert (await stage.data())["refused"] == 0


async def test_bad_payloads_neither_open_nor_use_up_trials() -> None:
    """The caller learns what is wrong with its payload as always."""
    async with Stage().serving() as stage:
        bad = Run.model_construct(action="")
        for _ in range(5):
            with pytest.raises(InvalidArgumentError):
                await stage.client.run("k", bad)
        await stage.fail(3)
        stage.clock.now += 30
        for _ in range(5):
            with pytest.raises(InvalidArgumentError):
                await stage.client.run("k", bad)
        assert (await stage.data())["state"] == "half-open"
        assert (await stage.client.run("k", GO)).text == "go"
        assert (await stage.data())["state"] == "closed"


async def test_handlers_that_run_out_of_time_open_it() -> None:
    """Each deadline that passes in a handler is a failure."""
    async with Stage().serving() as stage:
        async with asyncio.timeout(LIMIT):
            while (data := await stage.data())["failures"] < 3:
                with pytest.raises(ServiceError):
                    await stage.client.run("k", HOLD, timeout=0.02)
        assert data["state"] == "open"
        with pytest.raises(UnavailableError):
            await stage.client.run("k", GO)


async def test_a_stop_is_no_failure() -> None:
    """What a stop cancels says nothing: three cancelled trials, and nobody opened anything."""
    stage = Stage()
    changes: list[Any] = []
    builder = NatsServiceBuilder(stage.handlers, transport=stage.transport).with_drain_timeout(0.01)
    service = builder.with_circuit_breaker(failure_threshold=1, listener=changes.append).build()
    await service.start()
    calls = [asyncio.create_task(stage.client.run("k", HOLD)) for _ in range(3)]
    await until(lambda: stage.entered == 3)
    await service.stop()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * 3
    assert changes == []


async def test_a_late_answer_is_still_an_answer() -> None:
    """A call begun before it opened is answered while it is open, and changes nothing."""
    async with Stage().serving() as stage:
        call = asyncio.create_task(stage.client.run("late", HOLD))
        await until(lambda: stage.entered == 1)
        await stage.fail(3)
        stage.opened.set()
        assert (await call).text == "late"
        assert (await stage.data())["state"] == "open"


async def test_a_trial_that_hangs_does_not_wedge_it() -> None:
    """After the recovery timeout another is tried, and closes it; the first is answered too."""
    async with Stage().serving() as stage:
        await stage.fail(3)
        stage.clock.now += 30
        hung = asyncio.create_task(stage.client.run("hung", HOLD))
        await until(lambda: stage.entered == 1)
        with pytest.raises(UnavailableError, match="its trial calls still run") as raised:
            await stage.client.run("k", GO)
        assert raised.value.retry_after == 1
        stage.clock.now += 30
        assert (await stage.client.run("k", GO)).text == "go"
        assert (await stage.data())["state"] == "closed"
        stage.opened.set()
        assert (await hung).text == "hung"


async def test_an_interceptor_may_hand_on_another_context() -> None:
    """The handler finds the replaced one, behind a breaker as without."""

    async def rename(context: RequestContext, call_next: CallNext) -> Response:
        return await call_next(context.replace(key="renamed"))

    stage = Stage()
    stage.opened.set()
    base = NatsServiceBuilder(stage.handlers, transport=stage.transport).with_interceptor(rename)
    async with stage.serving(base):
        assert (await stage.client.run("k", HOLD)).text == "renamed"


async def test_nothing_stands_in_the_way_of_services_without_one() -> None:
    """No guard around the handlers, no data in STATS."""
    stage = Stage()
    async with NatsServiceBuilder(stage.handlers, transport=stage.transport).build() as service:
        assert service._assembly is not None
        for runner in service._assembly.runners:
            assert runner._call == runner._handle
        stats = await stage.client.get_service_stats()
        assert ["data" in each.model_dump() for each in stats.endpoints] == [False] * 4

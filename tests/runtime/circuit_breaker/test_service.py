"""A service with a circuit breaker: handlers, callers and statistics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import pytest

from testkit.clocks import FakeClock
from testkit.probe import FindParameters, NotReadyError, Outcome, Probe, ProbeClient, Run
from testkit.waiting import LIMIT, exceed_deadline, until
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
OWN_TIME: Final = "weenats.circuit_breaker.guard.DEFAULT_TIMEOUT"


class Stage:
    """A probe service whose `run` succeeds, fails or waits, with a clock that tests advance."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.transport = MemoryTransport()
        self.client = ProbeClient(self.transport)
        self.entered = 0
        self.opened = asyncio.Event()
        self.handlers = Probe(fail=self._fail, hold=self._hold)

    async def _fail(self, key: str, command: Run, context: RequestContext) -> Any:
        raise OSError(key)

    async def _hold(self, key: str, command: Run, context: RequestContext) -> Outcome:
        self.entered += 1
        await self.opened.wait()
        return Outcome(text=key)

    async def fail(self, times: int = 1) -> None:
        """Make calls that fail."""
        for _ in range(times):
            with pytest.raises(InternalError):
                await self.client.run("k", FAIL)

    async def data(self) -> Any:
        """Return the circuit breaker data of `run` in STATS."""
        stats = await self.client.get_service_stats()
        return stats.endpoints[0].model_dump()["data"]["circuitBreaker"]

    @asynccontextmanager
    async def serving(self, builder: NatsServiceBuilder | None = None) -> AsyncIterator[Stage]:
        """Run the service with a breaker that opens at three failures."""
        base = builder or NatsServiceBuilder(self.handlers, transport=self.transport)
        policy = CircuitBreakerPolicy(failure_threshold=3, clock=self.clock)
        async with base._with_breakers(policy).build():
            yield self


async def test_open_breaker_answers_without_the_handler() -> None:
    """Callers get UNAVAILABLE with retryAfter, and the handler is not called."""
    async with Stage().serving() as stage:
        await stage.fail(3)
        seen = len(stage.handlers.seen)
        with pytest.raises(UnavailableError, match="circuit breaker of run is open") as raised:
            await stage.client.run("k", GO)
        assert raised.value.remote
        assert raised.value.retry_after == 30
        assert len(stage.handlers.seen) == seen
        assert (await stage.client.find("k", FindParameters(pattern="p"))).text == "k p"


async def test_breaker_is_behind_all_interceptors() -> None:
    """Errors of interceptors are not failures, and an open breaker rejects last."""
    outcome: list[Exception] = []

    async def raise_outcome(context: RequestContext, call_next: CallNext) -> Response:
        if outcome:
            raise outcome[0]
        return await call_next(context)

    stage = Stage()
    base = NatsServiceBuilder(stage.handlers, transport=stage.transport).with_interceptor(
        raise_outcome
    )
    async with stage.serving(base):
        for error in (InternalError(), UnavailableError(), OSError()):
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


async def test_invalid_payloads_do_not_affect_the_breaker() -> None:
    """Invalid payloads get INVALID_ARGUMENT and neither open the breaker nor use trials."""
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


async def test_handler_timeouts_open_the_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each deadline that passes in a handler counts, if it had the time of its operation."""
    monkeypatch.setattr(OWN_TIME, 0.001)
    async with Stage().serving() as stage:
        async with asyncio.timeout(LIMIT):
            while (data := await stage.data())["failures"] < 3:
                with pytest.raises(ServiceError):
                    await stage.client.run("k", HOLD, timeout=0.02)
        assert data["state"] == "open"
        with pytest.raises(UnavailableError):
            await stage.client.run("k", GO)


async def test_impatient_caller_does_not_open_the_breaker() -> None:
    """Deadlines below that of the operation count neither way, closed and half-open."""
    async with Stage().serving() as stage:
        for _ in range(2):
            for _ in range(5):
                await exceed_deadline(
                    lambda timeout: stage.client.run("k", HOLD, timeout=timeout),
                    lambda: stage.entered,
                )
                stage.entered = 0
            data = await stage.data()
            assert (data["state"], data["refused"]) == ("closed", 0)
            await stage.fail(3)
            stage.clock.now += 30
            await exceed_deadline(
                lambda timeout: stage.client.run("k", HOLD, timeout=timeout), lambda: stage.entered
            )
            stage.entered = 0
            assert (await stage.data())["state"] == "half-open"
            assert (await stage.client.run("k", GO)).text == "go"
            stage.clock.now += 100


async def test_unparsable_keys_do_not_open_the_breaker(caplog: pytest.LogCaptureFixture) -> None:
    """A caller whose keys the handler cannot parse gets INTERNAL, and others are served."""

    async def parse(key: str, command: Run, context: RequestContext) -> Outcome:
        del command, context
        return Outcome(text=str(UUID(key)))

    stage = Stage()
    stage.handlers.actions["parse"] = parse
    async with stage.serving():
        for number in range(20):
            with pytest.raises(InternalError):
                await stage.client.run(f"not a UUID {number}", Run(action="parse"))
        assert await stage.client.run(str(UUID(int=1)), Run(action="parse"))
    assert "badly formed hexadecimal UUID" in caplog.text


async def test_calls_cancelled_by_a_stop_are_not_failures() -> None:
    """Calls that are cancelled when the service stops change no breaker."""
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


async def test_call_admitted_before_opening_is_still_answered() -> None:
    """A call that started before the breaker opened is answered and changes nothing."""
    async with Stage().serving() as stage:
        call = asyncio.create_task(stage.client.run("late", HOLD))
        await until(lambda: stage.entered == 1)
        await stage.fail(3)
        stage.opened.set()
        assert (await call).text == "late"
        assert (await stage.data())["state"] == "open"


async def test_hung_trial_does_not_block_recovery() -> None:
    """After recovery_timeout another trial closes the breaker; the first is still answered."""
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


async def test_interceptor_can_replace_the_context() -> None:
    """The handler receives the replaced context, with a breaker as without."""

    async def rename(context: RequestContext, call_next: CallNext) -> Response:
        return await call_next(context.replace(key="renamed"))

    stage = Stage()
    stage.opened.set()
    base = NatsServiceBuilder(stage.handlers, transport=stage.transport).with_interceptor(rename)
    async with stage.serving(base):
        assert (await stage.client.run("k", HOLD)).text == "renamed"


async def test_service_without_a_breaker_has_no_guard() -> None:
    """Without a breaker, handlers are called directly and STATS has no breaker data."""
    stage = Stage()
    async with NatsServiceBuilder(stage.handlers, transport=stage.transport).build() as service:
        assert service._assembly is not None
        for runner in service._assembly.runners:
            assert runner._call is None
        stats = await stage.client.get_service_stats()
        assert ["data" in each.model_dump() for each in stats.endpoints] == [False] * 4

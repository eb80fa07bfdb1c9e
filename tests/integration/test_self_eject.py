"""Instances that leave their queue group while their circuit breakers are open."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from testkit.clocks import FakeClock, shift_time
from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.waiting import LIMIT, until
from weenats import (
    InternalError,
    NatsService,
    NatsServiceBuilder,
    NatsTransport,
    NoRespondersError,
    RequestContext,
    ServiceError,
    UnavailableError,
)
from weenats.circuit_breaker import CircuitBreakerPolicy
from weenats.discovery import check_health
from weenats.service.assembly import Assembly

WORK = Run(action="work")


class Instance:
    """An instance with one breaker for all operations, whose handler fails on demand."""

    def __init__(self, url: str, transport: Any = None) -> None:
        self.clock = FakeClock()
        self.works = True
        self.calls = 0
        self.held = asyncio.Event()
        self.held.set()
        builder = NatsServiceBuilder(Probe(work=self._work), url, transport=transport)
        builder = builder.with_queue_group(
            "probe", max_concurrency=100, max_queue_time=LIMIT, self_eject=True
        )
        policy = CircuitBreakerPolicy(failure_threshold=3, scope="service", clock=self.clock)
        self.service: NatsService = builder._with_breakers(policy).build()

    async def _work(self, key: str, command: Run, context: RequestContext) -> Outcome:
        self.calls += 1
        await self.held.wait()
        if not self.works:
            raise ConnectionRefusedError
        return Outcome(text=key)

    @property
    def is_member(self) -> bool:
        """Whether it is subscribed in its queue group."""
        return self.service.is_member

    @property
    def parts(self) -> Assembly:
        """Return what it consists of, once it was started."""
        assert self.service._assembly is not None
        return self.service._assembly

    async def out(self) -> None:
        """Wait until it has left its queue group."""
        await until(lambda: not self.is_member and self.parts.membership._moving is None)

    async def back(self) -> None:
        """Wait until it has joined its queue group again."""
        await until(lambda: self.is_member and self.parts.membership._moving is None)


async def call(client: ProbeClient, number: int) -> str:
    """Make a call and return its outcome; a call that gets no reply is an error."""
    try:
        outcome = await client.run(f"k{number}", WORK, timeout=LIMIT)
    except NoRespondersError:
        return "nobody"
    except UnavailableError as error:
        return "refused" if error.remote else "lost"
    except InternalError:
        return "failed"
    assert outcome.text == f"k{number}"
    return "answered"


async def calls(client: ProbeClient, count: int) -> Counter[str]:
    """Make so many calls at once and count the outcomes."""
    return Counter(await asyncio.gather(*(call(client, number) for number in range(count))))


async def test_other_instance_takes_over_all_calls(nats_url: str) -> None:
    """While one instance is out, the other gets all calls, and none is lost."""
    time = shift_time()
    sick, well = Instance(nats_url), Instance(nats_url)
    async with AsyncExitStack() as stack:
        for instance in (sick, well):
            await stack.enter_async_context(instance.service)
        client = await stack.enter_async_context(ProbeClient.connect(nats_url))
        assert await calls(client, 200) == {"answered": 200}
        assert sick.calls > 0
        sick.works = False
        told = await calls(client, 200)
        assert set(told) == {"answered", "failed", "refused"}
        assert told["answered"] >= 50
        assert told["failed"] >= 3
        await sick.out()
        before = sick.calls
        for _ in range(5):
            assert await calls(client, 200) == {"answered": 200}
        assert sick.calls == before
        sick.works = True
        sick.clock.now += 30
        time.advance(30)
        await sick.back()
        told = await calls(client, 200)
        assert told["lost"] == told["failed"] == 0
        assert told["answered"] >= 50
        await until(lambda: sick.parts._seconds_until_ready() == 0)
        before = sick.calls
        assert await calls(client, 200) == {"answered": 200}
        assert sick.calls > before


async def test_instance_leaves_again_after_a_failed_trial(nats_url: str) -> None:
    """While the only instance is out there are no responders; a failed trial repeats that."""
    time = shift_time()
    only = Instance(nats_url)
    async with only.service, ProbeClient.connect(nats_url) as client:
        only.works = False
        await calls(client, 3)
        for _ in range(3):
            await only.out()
            assert await calls(client, 20) == {"nobody": 20}
            only.clock.now += 30
            time.advance(30)
            await only.back()
            before = only.calls
            assert await call(client, 1) == "failed"
            assert only.calls == before + 1
        await only.out()


async def test_discovery_works_while_out_of_the_group(nats_url: str) -> None:
    """An instance that is out answers PING, INFO and STATS; its health status is error."""
    time = shift_time()
    only = Instance(nats_url)
    async with only.service, ProbeClient.connect(nats_url) as client:
        assert (await check_health(client.transport, "probe")).status == "ok"
        only.works = False
        await calls(client, 3)
        await only.out()
        assert only.service.is_serving
        assert [each.id for each in await client.list_instances()] == [only.service.instance_id]
        assert len((await client.get_service_info()).endpoints) == 4
        stats = (await client.get_service_stats()).endpoints[0].model_dump()
        assert stats["data"]["circuitBreaker"]["state"] == "open"
        assert (await client.check_health()).status == "error"
        only.clock.now += 30
        time.advance(30)
        await only.back()
        assert (await client.check_health()).status == "ok"


async def test_instance_stays_while_one_breaker_is_closed(nats_url: str) -> None:
    """With one breaker per operation an instance leaves only when all are open."""
    handlers = Probe()

    async def fail(key: str, command: Run, context: RequestContext) -> Any:
        raise OSError

    handlers.actions["fail"] = fail
    builder = NatsServiceBuilder(handlers, nats_url).with_queue_group("probe", self_eject=True)
    service = builder.with_circuit_breaker(failure_threshold=1).build()
    async with service, ProbeClient.connect(nats_url) as client:
        with pytest.raises(InternalError):
            await client.run("k", Run(action="fail"))
        assert (await client.get("k")).revision == 7
        with pytest.raises(UnavailableError) as raised:
            await client.run("k", Run(action="a"))
        assert not isinstance(raised.value, NoRespondersError)


async def test_calls_received_before_leaving_are_answered(nats_url: str) -> None:
    """Running calls finish, waiting calls are rejected, and none is lost."""
    only = Instance(nats_url)
    async with only.service, ProbeClient.connect(nats_url) as client:
        only.held.clear()
        running = asyncio.create_task(calls(client, 300))
        await until(lambda: only.calls == 100)
        only.works = False
        only.held.set()
        told = await running
        assert set(told) == {"failed", "refused"}
        assert told["failed"] >= 100
        await only.out()


class SlowTransport(NatsTransport):
    """A connection whose unsubscribe() waits for a gate."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.gate = asyncio.Event()
        self.leaving = 0

    async def unsubscribe(self, subscriptions: Any) -> None:
        """Wait for the gate, then unsubscribe."""
        self.leaving += 1
        await self.gate.wait()
        await super().unsubscribe(subscriptions)


async def test_stop_while_leaving_the_group(nats_url: str) -> None:
    """Every call is answered, stop() ends, and the instance does not come back."""
    time = shift_time()
    transport = SlowTransport(nats_url)
    only = Instance(nats_url, transport)
    await only.service.start()
    async with ProbeClient.connect(nats_url) as client:
        only.works = False
        assert await calls(client, 3) == {"failed": 3}
        await until(lambda: transport.leaving == 1)
        late = asyncio.create_task(calls(client, 50))  # it still listens
        stopping = asyncio.create_task(only.service.stop())
        assert await late == {"refused": 50}
        assert not stopping.done()
        transport.gate.set()
        await stopping
        only.clock.now += 30
        time.advance(3600)
        assert await calls(client, 5) == {"nobody": 5}
    await transport.close()


async def test_leaving_and_rejoining_under_load_loses_no_calls(nats_url: str) -> None:
    """Two instances fail in turn under constant load, and every call is answered."""
    time = shift_time()
    pair = [Instance(nats_url), Instance(nats_url)]
    done = asyncio.Event()
    told: Counter[str] = Counter()

    async def keep_calling(client: ProbeClient, number: int) -> None:
        while not done.is_set():
            told[await call(client, number)] += 1

    async with AsyncExitStack() as stack:
        for instance in pair:
            await stack.enter_async_context(instance.service)
        client = await stack.enter_async_context(ProbeClient.connect(nats_url))
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(32):
                    group.create_task(keep_calling(client, number))
                for turn in range(6):
                    sick = pair[turn % 2]
                    sick.works = False
                    await sick.out()
                    sick.works = True
                    answered = told["answered"]
                    await until(lambda before=answered: told["answered"] > before + 100)
                    sick.clock.now += 30
                    time.advance(30)
                    await until(lambda it=sick: it.parts._seconds_until_ready() == 0)
                    await sick.back()
                    before = sick.calls
                    await until(lambda it=sick, then=before: it.calls > then + 50)
                done.set()
        except* ServiceError as lost:
            pytest.fail(f"lost: {lost.exceptions}")
    assert told["nobody"] == told["lost"] == 0
    assert told["answered"] > 600

"""Instances that leave their queue group while their breakers are open, over a real server."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from testkit.clocks import FakeClock, shift_time
from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.waiting import until
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
    """An instance whose handler fails when the test says so, with one breaker for everything."""

    def __init__(self, url: str, transport: Any = None) -> None:
        self.clock = FakeClock()
        self.works = True
        self.calls = 0
        self.held = asyncio.Event()
        self.held.set()
        builder = NatsServiceBuilder(Probe(work=self._work), url, transport=transport)
        builder = builder.with_queue_group("probe", max_concurrency=100, self_eject=True)
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
        """Say whether it listens."""
        return self.service.is_member

    @property
    def parts(self) -> Assembly:
        """Return what it consists of, once it was started."""
        assert self.service._assembly is not None
        return self.service._assembly

    async def out(self) -> None:
        """Wait until it has left behind its fence."""
        await until(lambda: not self.is_member and self.parts.membership._moving is None)

    async def back(self) -> None:
        """Wait until it is a member again."""
        await until(lambda: self.is_member and self.parts.membership._moving is None)


async def call(client: ProbeClient, number: int) -> str:
    """Call, and say what came of it; it is an error not to be answered at all."""
    try:
        outcome = await client.run(f"k{number}", WORK, timeout=20)
    except NoRespondersError:
        return "nobody"
    except UnavailableError as error:
        return "refused" if error.remote else "lost"
    except InternalError:
        return "failed"
    assert outcome.text == f"k{number}"
    return "answered"


async def calls(client: ProbeClient, count: int) -> Counter[str]:
    """Call so many times at once."""
    return Counter(await asyncio.gather(*(call(client, number) for number in range(count))))


async def test_the_other_instance_takes_all_the_work(nats_url: str) -> None:
    """While one is out no call reaches it and none is lost; then it has its share again."""
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


async def test_it_leaves_again_when_the_trial_fails(nats_url: str) -> None:
    """The only one of its group: nobody responds while it is out, one call is the trial."""
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


async def test_it_answers_discovery_meanwhile(nats_url: str) -> None:
    """PING, INFO and STATS as always; its health is an error, then ok again."""
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


async def test_one_operation_that_lets_callers_in_keeps_it(nats_url: str) -> None:
    """With a breaker for each operation it stays while one of them is not open."""
    handlers = Probe()

    async def fail(key: str, command: Run, context: RequestContext) -> Any:
        raise ValueError

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


async def test_what_arrived_before_it_left_is_answered(nats_url: str) -> None:
    """Calls that run when it leaves end as they end; those that wait are refused, none is lost."""
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
    """A connection that takes its time to leave."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.gate = asyncio.Event()
        self.leaving = 0

    async def unsubscribe(self, subscriptions: Any) -> None:
        """Leave when the test says so."""
        self.leaving += 1
        await self.gate.wait()
        await super().unsubscribe(subscriptions)


async def test_a_stop_in_the_middle_of_leaving(nats_url: str) -> None:
    """Every call has its answer, the stop ends, and nobody comes back."""
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


async def test_leaving_and_coming_back_under_load_loses_nothing(nats_url: str) -> None:
    """Two instances that fail by turns, a crowd that never stops: every call is answered."""
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

"""Retries over a real nats-server, with services and servers that stop or crash."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from nats.aio.client import Client as RawClient
from nats.aio.msg import Msg

from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.retries import IDEMPOTENT_RUN
from testkit.waiting import until
from weenats import (
    CallNext,
    ConnectionLostError,
    ConnectionOptions,
    NatsServiceBuilder,
    RequestContext,
    ResourceExhaustedError,
    Response,
    ServiceError,
    UnavailableError,
)

if TYPE_CHECKING:
    from conftest import Gate
    from weenats import NatsService
    from weenats.testing import NatsServer


def build(url: str, handlers: Probe, **options: Any) -> NatsService:
    """Return an instance of the probe with a short drain timeout."""
    builder = NatsServiceBuilder(handlers, url, **options)
    return builder.with_queue_group("probe").with_drain_timeout(0.05).build()


async def run(client: ProbeClient, action: str, key: str = "k", **options: Any) -> Outcome:
    """Call the command as an idempotent one."""
    return await client.execute(IDEMPOTENT_RUN, key, Run(action=action), **options)


@pytest.mark.parametrize("error", [UnavailableError, ResourceExhaustedError])
async def test_retries_wait_for_retry_after(
    client: ProbeClient, handlers: Probe, error: type[ServiceError]
) -> None:
    """After two errors with `retryAfter` the call succeeds, and no retry comes too early."""
    loop = asyncio.get_running_loop()
    came: list[float] = []

    async def refuse_twice(key: str, command: Run, context: RequestContext) -> Outcome:
        came.append(loop.time())
        if len(came) < 3:
            raise error(details={"retryAfter": 40})
        return Outcome(text=str(context.metadata_context["weeAttempt"]))

    handlers.actions["refuse"] = refuse_twice
    assert (await run(client.with_retry(initial_backoff=0.001), "refuse")).text == "3"
    assert came[1] - came[0] >= 0.04
    assert came[2] - came[1] >= 0.04


async def test_only_idempotent_calls_are_retried_after_a_stop(nats_url: str, gate: Gate) -> None:
    """Calls of a stopping instance run again on the other one only if idempotent."""
    executed: Counter[str] = Counter()

    async def hold(key: str, command: Run, context: RequestContext) -> Any:
        executed[key] += 1
        return await gate(key, command, context)

    async def answer(key: str, command: Run, context: RequestContext) -> Outcome:
        executed[key] += 1
        return Outcome(text=key)

    stopping = build(nats_url, Probe(work=hold))
    async with ProbeClient.connect(nats_url, timeout=30) as connected:
        client = connected.with_retry()
        await stopping.start()
        calls = [asyncio.create_task(run(client, "work", f"again-{n}")) for n in range(5)]
        calls += [
            asyncio.create_task(client.run(f"once-{n}", Run(action="work"))) for n in range(4)
        ]
        for _ in calls:
            await gate.entered.acquire()
        async with build(nats_url, Probe(work=answer)):
            await stopping.stop()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [outcome.text for outcome in outcomes[:5] if isinstance(outcome, Outcome)] == [
        f"again-{n}" for n in range(5)
    ]
    assert [type(outcome) for outcome in outcomes[5:]] == [UnavailableError] * 4
    assert executed == {
        **{f"again-{n}": 2 for n in range(5)},
        **{f"once-{n}": 1 for n in range(4)},
    }


async def test_retries_survive_a_service_restart(nats_url: str, gate: Gate) -> None:
    """A call that a stop interrupts is retried until the service is back."""
    seen: list[Any] = []

    async def note(context: RequestContext, call_next: CallNext) -> Response:
        try:
            return await call_next(context)
        except ServiceError as error:
            seen.append(error)
            raise

    service = build(nats_url, Probe(work=gate))
    async with ProbeClient.connect(nats_url, timeout=60) as connected:
        client = connected.with_retry(10, initial_backoff=0.1).with_interceptor(note)
        await service.start()
        call = asyncio.create_task(run(client, "work"))
        await gate.entered.acquire()
        await service.stop()
        await until(lambda: len(seen) >= 2)
        gate.opened.set()
        async with build(nats_url, Probe(work=gate)):
            assert (await call).text == "k"
    assert {type(error).__name__ for error in seen} == {"UnavailableError", "NoRespondersError"}


async def test_server_crash_fails_only_non_idempotent_calls(
    own_nats_server: NatsServer, gate: Gate
) -> None:
    """After a crash the idempotent call is retried; the other raises ConnectionLostError."""
    executed: Counter[str] = Counter()

    async def hold(key: str, command: Run, context: RequestContext) -> Any:
        executed[key] += 1
        return await gate(key, command, context)

    options = ConnectionOptions(reconnect_wait=0.02)
    async with (
        build(own_nats_server.url, Probe(work=hold), connection=options),
        ProbeClient.connect(own_nats_server.url, connection=options, timeout=60) as connected,
    ):
        client = connected.with_retry(10, initial_backoff=0.2)
        again = asyncio.create_task(run(client, "work", "again"))
        once = asyncio.create_task(client.run("once", Run(action="work")))
        for _ in range(2):
            await gate.entered.acquire()
        own_nats_server.kill()
        with pytest.raises(ConnectionLostError, match="is unknown"):
            await once
        gate.opened.set()
        own_nats_server.start()
        assert (await again).text == "again"
    assert executed == {"again": 2, "once": 1}


@pytest.fixture
async def delivered(raw: RawClient) -> AsyncIterator[Counter[str]]:
    """A foreign service that always answers UNAVAILABLE and counts the message ids."""
    counted: Counter[str] = Counter()
    reply = {
        "success": False,
        "error": {"code": "UNAVAILABLE", "message": "down"},
        "duration": 0,
    }

    async def refuse(message: Msg) -> None:
        counted[json.loads(message.data)["metadata"]["messageId"]] += 1
        await raw.publish(message.reply, json.dumps(reply).encode())

    subscription = await raw.subscribe("probe.*.thing.*", cb=refuse)
    await raw.flush()
    yield counted
    await subscription.unsubscribe()


async def call_continuously(client: ProbeClient, *, callers: int, lasting: float) -> int:
    """Call from many tasks for a while without a pause; return the number of calls."""
    loop = asyncio.get_running_loop()
    end = loop.time() + lasting

    async def keep_calling() -> int:
        made = 0
        while loop.time() < end:
            made += 1
            with pytest.raises(UnavailableError):
                await run(client, "work", timeout=60)
        return made

    return sum(await asyncio.gather(*(keep_calling() for _ in range(callers))))


@pytest.mark.timing
async def test_retry_budget_limits_extra_calls(nats_url: str, delivered: Counter[str]) -> None:
    """Retries add at most 10 % to the calls of a service that is down."""
    async with ProbeClient.connect(nats_url) as connected:
        client = connected.with_retry(5, initial_backoff=0.001, max_backoff=0.01)
        made = await call_continuously(client, callers=100, lasting=5)
        assert len(delivered) == made
        assert made < delivered.total() <= made * 1.1
        # Those of an overlay get what is left of the budget, and no more.
        made += await call_continuously(client.with_context(a=1), callers=100, lasting=0.1)
        assert len(delivered) == made
        assert delivered.total() <= made * 1.1
    assert max(delivered.values()) <= 5


@pytest.mark.timing
async def test_retry_budget_applies_without_responders(
    nats_url: str,
) -> None:
    """Without responders retries add at most 10 %; calls work once the service is back."""
    attempts = 0

    async def count(context: RequestContext, call_next: CallNext) -> Response:
        nonlocal attempts
        attempts += 1
        return await call_next(context)

    async with ProbeClient.connect(nats_url) as connected:
        client = connected.with_retry(initial_backoff=0.001).with_interceptor(count)
        made = await call_continuously(client, callers=50, lasting=5)
        assert made < attempts <= made * 1.1
        async with build(nats_url, Probe()):
            assert (await run(client, "work")).text == "work"

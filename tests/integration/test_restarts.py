"""Stops, restarts and crashes: admitted calls are finished or fail with an error."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from testkit import serve_probe
from testkit.forks import Fork, fork
from testkit.probe import Probe, ProbeClient, Run
from testkit.waiting import LIMIT, ask_until
from weenats import (
    ConnectionLostError,
    ConnectionOptions,
    NatsServiceBuilder,
    UnavailableError,
)

if TYPE_CHECKING:
    from conftest import Gate
    from weenats import NatsService
    from weenats.testing import NatsServer


def build(url: str, handlers: Probe, **options: Any) -> NatsService:
    """Return an instance of the probe in the shared queue group."""
    return NatsServiceBuilder(handlers, url).with_queue_group("probe", **options).build()


async def test_rolling_restart_fails_no_calls(nats_url: str) -> None:
    """Restarting two instances in turn fails none of 64 concurrent calls."""
    handlers = Probe()
    done = asyncio.Event()
    answered = 0

    async def keep_calling(client: ProbeClient) -> None:
        nonlocal answered
        while not done.is_set():
            assert (await client.run("k", Run(action="a"))).text == "a"
            answered += 1

    async with ProbeClient.connect(nats_url) as client:
        instances = [build(nats_url, handlers, max_concurrency=100) for _ in range(2)]
        for instance in instances:
            await instance.start()
        async with asyncio.TaskGroup() as group:
            for _ in range(64):
                group.create_task(keep_calling(client))
            for turn in range(10):
                before = answered
                await instances[turn % 2].stop()
                instances[turn % 2] = build(nats_url, handlers, max_concurrency=100)
                await instances[turn % 2].start()
                while answered < before + 200:
                    await client.run("k", Run(action="a"))
            done.set()
        for instance in instances:
            await instance.stop()
    assert answered > 2000


async def test_stop_finishes_admitted_requests(nats_url: str, gate: Gate) -> None:
    """stop() answers running and waiting requests; later calls are UNAVAILABLE."""
    service = build(nats_url, Probe(hold=gate), max_concurrency=2)
    await service.start()
    async with ProbeClient.connect(nats_url) as client:
        calls = [asyncio.create_task(client.run(f"k{n}", Run(action="hold"))) for n in range(10)]
        await gate.entered.acquire()
        await gate.entered.acquire()
        stopping = asyncio.create_task(service.stop())
        gate.opened.set()
        assert [outcome.text for outcome in await asyncio.gather(*calls)] == [
            f"k{n}" for n in range(10)
        ]
        await stopping
        with pytest.raises(UnavailableError):
            await client.run("k", Run(action="a"))


async def test_drain_timeout_cancels_unfinished_requests(nats_url: str, gate: Gate) -> None:
    """Requests that exceed the drain timeout are cancelled and get UNAVAILABLE."""
    builder = NatsServiceBuilder(Probe(hold=gate), nats_url).with_queue_group(
        "probe", max_concurrency=1
    )
    service = builder.with_drain_timeout(0.05).build()
    await service.start()
    async with ProbeClient.connect(nats_url, timeout=30) as client:
        calls = [asyncio.create_task(client.run("k", Run(action="hold"))) for _ in range(3)]
        await gate.entered.acquire()
        await service.stop()
        outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), LIMIT)
    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * 3
    assert all(outcome.remote for outcome in outcomes if isinstance(outcome, UnavailableError))
    assert gate.cancelled == 1


async def test_stop_is_idempotent(nats_url: str) -> None:
    """stop() can be called by several tasks, and before `async with` ends."""
    async with build(nats_url, Probe()) as service:
        assert service.is_serving
        await asyncio.gather(service.stop(), service.stop())
        assert not service.is_serving
        await service.wait_until_stopped()


async def test_server_crash_fails_waiting_calls_immediately(
    own_nats_server: NatsServer, gate: Gate
) -> None:
    """A waiting call fails when the server is killed; calls work again after its restart."""
    options = ConnectionOptions(reconnect_wait=0.02)
    handlers = Probe(hold=gate)
    builder = NatsServiceBuilder(
        handlers, own_nats_server.url, connection=options
    ).with_drain_timeout(0.1)
    async with (
        builder.build(),
        ProbeClient.connect(own_nats_server.url, connection=options, timeout=30) as client,
    ):
        waiting = asyncio.create_task(client.run("k", Run(action="hold")))
        await gate.entered.acquire()
        own_nats_server.kill()
        with pytest.raises(ConnectionLostError, match="is unknown"):
            await asyncio.wait_for(waiting, LIMIT)
        call = asyncio.create_task(client.run("k", Run(action="again")))
        own_nats_server.start()
        async with asyncio.timeout(LIMIT):
            while True:
                try:
                    assert (await call).text == "again"
                    break
                except UnavailableError:  # the client was back before the service was
                    call = asyncio.create_task(client.run("k", Run(action="again")))
        gate.opened.set()


@asynccontextmanager
async def _child(url: str, *, hold: float = 0.05) -> AsyncIterator[Fork]:
    with fork(serve_probe.main, url, hold) as child:
        assert await child.receive() == "serving"
        yield child


async def _until_reached(client: ProbeClient) -> None:
    """Return once everything that was sent before has reached the service.

    The second question is sent after the calls of this turn of the loop; the service answers both
    on one connection.
    """
    await client.check_health()
    await client.check_health()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_signal_drains_queued_requests(nats_url: str, stop: signal.Signals) -> None:
    """After SIGTERM or SIGINT all requests are answered, and the process exits with 0."""
    async with (
        _child(nats_url) as child,
        ProbeClient.connect(nats_url, timeout=LIMIT) as client,
    ):
        calls = [asyncio.create_task(client.run(f"k{n}", Run(action="hold"))) for n in range(20)]
        await _until_reached(client)
        child.signal(stop)
        outcomes = await asyncio.gather(*calls)
        assert len(outcomes) == 20
        assert await child.wait() == 0


async def test_second_signal_ends_the_drain(nats_url: str) -> None:
    """After a second signal unfinished requests get UNAVAILABLE immediately."""
    async with (
        _child(nats_url, hold=60.0) as child,
        ProbeClient.connect(nats_url, timeout=LIMIT) as client,
    ):
        call = asyncio.create_task(client.run("k", Run(action="hold")))
        await _until_reached(client)
        child.signal(signal.SIGTERM)
        await ask_until(lambda health: health.status != "ok", client.check_health)
        child.signal(signal.SIGTERM)
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(call, LIMIT)
        assert await child.wait() == 0


async def test_wait_until_stopped_returns_after_stop(nats_url: str) -> None:
    """wait_until_stopped() returns once another task has stopped the service."""
    service = build(nats_url, Probe())
    await service.start()
    waiting = asyncio.create_task(service.wait_until_stopped())
    await service.stop()
    await asyncio.wait_for(waiting, LIMIT)

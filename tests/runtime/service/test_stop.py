"""Stopping: within the drain timeout, from anywhere, at any time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest

from testkit.probe import Outcome, Probe, ProbeClient, Run, echo
from testkit.tcp_proxy import TcpProxy
from testkit.waiting import LIMIT, settle, until
from weenats import (
    NatsService,
    NatsServiceBuilder,
    NatsTransport,
    UnavailableError,
    WrongEventLoopError,
)
from weenats.testing import MemoryTransport, NatsServer


def built(handlers: Probe, transport: Any) -> NatsService:
    """Build a service whose drain timeout no test waits for."""
    builder = NatsServiceBuilder(handlers, transport=transport)
    return builder.with_drain_timeout(LIMIT * 10).build()


@pytest.mark.parametrize("is_nested", [False, True])
async def test_stop_in_a_handler_returns_at_once(is_nested: bool) -> None:
    """The handler goes on and answers; then the service stops."""

    async def stop(key: str, command: Run, context: Any) -> Outcome:
        if is_nested:
            await asyncio.gather(service.stop(), asyncio.sleep(0))
        else:
            await service.stop()
        return await echo(key, command, context)

    transport = MemoryTransport()
    service = built(Probe(stop=stop), transport)
    await service.start()
    client = ProbeClient(transport).with_timeout(LIMIT)
    assert (await client.run("k", Run(action="stop"))).text == "stop"
    await asyncio.wait_for(service.wait_until_stopped(), LIMIT)


async def test_task_of_a_finished_handler_waits_for_the_stop() -> None:
    """A task that a handler has started is not a handler once that has returned."""
    tasks: list[asyncio.Task[None]] = []
    answered = asyncio.Event()

    async def shut_down() -> None:
        await answered.wait()
        await service.stop()
        assert not service.is_serving
        assert repr(service).endswith("stopped>")

    async def stop(key: str, command: Run, context: Any) -> Outcome:
        tasks.append(asyncio.create_task(shut_down()))
        return await echo(key, command, context)

    transport = MemoryTransport()
    service = built(Probe(stop=stop), transport)
    await service.start()
    await ProbeClient(transport).run("k", Run(action="stop"), timeout=LIMIT)
    answered.set()
    await asyncio.wait_for(tasks[0], LIMIT)


class OfLifespan(Probe):
    """A probe whose lifespan does something."""

    def __init__(self) -> None:
        super().__init__()
        self.enter: Callable[[], Awaitable[None]] = settle
        self.leave: Callable[[], Awaitable[None]] = settle

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Call what the test has set."""
        await self.enter()
        yield
        await self.leave()


@pytest.mark.parametrize("place", ["handler", "nested", "enter", "leave", "check"])
async def test_waiting_for_the_stop_in_what_it_waits_for(place: str) -> None:
    """wait_until_stopped() raises there, and says what to do; nothing waits for itself."""
    raised: list[str] = []

    async def wait() -> None:
        with pytest.raises(RuntimeError, match=r"in the program that started") as error:
            await service.wait_until_stopped()
        raised.append(str(error.value))

    async def handle(key: str, command: Run, context: Any) -> Outcome:
        await (asyncio.gather(wait()) if place == "nested" else wait())
        return await echo(key, command, context)

    transport, probe = MemoryTransport(), OfLifespan()
    probe.actions["wait"] = handle
    setattr(probe, place, wait)
    builder = NatsServiceBuilder(probe, transport=transport).with_drain_timeout(LIMIT * 10)
    if place == "check":
        builder = builder.with_health(timeout=3600, custom_checks=[{"name": "c", "check": wait}])
    service = builder.build()
    async with asyncio.timeout(LIMIT), service:
        if place in {"handler", "nested"}:
            await ProbeClient(transport).run("k", Run(action="wait"), timeout=LIMIT)
    assert len(raised) == 1


@pytest.mark.parametrize("is_nested", [False, True])
async def test_stop_in_a_health_check_returns_at_once(is_nested: bool) -> None:
    """The check goes on; then the service stops."""
    ends: list[str] = []

    async def check() -> None:
        await (asyncio.gather(service.stop()) if is_nested else service.stop())
        ends.append(repr(service))

    builder = NatsServiceBuilder(Probe(), transport=MemoryTransport())
    checks: Any = [{"name": "stops", "check": check}]
    service = builder.with_health(timeout=3600, custom_checks=checks).build()
    with pytest.raises(UnavailableError, match="stopped while it started"):
        await asyncio.wait_for(service.start(), LIMIT)
    assert len(ends) == 1
    assert not ends[0].endswith("stopped>")


class Gated(NatsTransport):
    """A connection whose fences wait for a gate."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()

    async def fence(self) -> None:
        """Wait for the gate."""
        self.entered.set()
        await self.gate.wait()
        await super().fence()


async def test_stop_while_starting_on_a_shared_connection(nats_url: str) -> None:
    """start() raises, the service is not serving, and the connection has no subscription left."""
    transport = Gated(nats_url)
    service = built(Probe(), transport)
    starting = asyncio.create_task(service.start())
    await transport.entered.wait()
    stopping = asyncio.create_task(service.stop())
    transport.gate.set()
    with pytest.raises(UnavailableError, match="stopped while it started"):
        await asyncio.wait_for(starting, LIMIT)
    await stopping
    assert not service.is_serving
    connection = transport._connection
    assert connection is not None
    assert connection.interests == []
    await transport.close()


async def test_stop_while_the_first_health_check_runs() -> None:
    """A health check that hangs does not delay the stop, and start() raises."""
    checking = asyncio.Event()

    async def hang() -> None:
        checking.set()
        await asyncio.Event().wait()

    builder = NatsServiceBuilder(Probe(), transport=MemoryTransport())
    service = builder.with_health(
        timeout=3600, custom_checks=[{"name": "hangs", "check": hang}]
    ).build()
    starting = asyncio.create_task(service.start())
    await checking.wait()
    await asyncio.wait_for(service.stop(), LIMIT)
    with pytest.raises(UnavailableError):
        await starting


async def test_cancelled_start_closes_its_connection(nats_url: str) -> None:
    """Whenever start() is cancelled, and however often, no task is left."""

    async def serve() -> None:
        async with NatsServiceBuilder(Probe(), nats_url).build():
            await asyncio.Event().wait()

    before = asyncio.all_tasks()
    for steps in (*range(10), 20, 40, 80):
        task = asyncio.create_task(serve())
        for _ in range(steps):
            await asyncio.sleep(0)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        await until(lambda: asyncio.all_tasks() == before)


@pytest.mark.timing
@pytest.mark.parametrize("is_shared", [False, True])
async def test_hung_server_does_not_prolong_the_stop(
    nats_server: NatsServer, is_shared: bool
) -> None:
    """The drain timeout bounds the whole stop, with a handler that runs as well."""
    entered = asyncio.Event()

    async def hang(key: str, command: Run, context: Any) -> Outcome:
        entered.set()
        await asyncio.Event().wait()
        return await echo(key, command, context)

    async with TcpProxy(nats_server.port) as link:
        url = f"nats://127.0.0.1:{link.port}"
        shared = NatsTransport(url)
        builder = NatsServiceBuilder(Probe(hang=hang), url, transport=shared if is_shared else None)
        service = builder.with_drain_timeout(0.5).build()
        await service.start()
        async with ProbeClient.connect(url) as client:
            call = asyncio.create_task(client.run("k", Run(action="hang"), timeout=LIMIT))
            await entered.wait()
            link.stall()
            started = monotonic()
            await service.stop()
            assert monotonic() - started < 2
            call.cancel()
            link.heal()
        await shared.close()


async def test_service_is_refused_on_another_loop() -> None:
    """Start, stop and waiting on another loop fail at once; the service still works."""
    transport = MemoryTransport()
    async with built(Probe(), transport) as service, ProbeClient(transport) as client:
        other = built(Probe(), transport)
        for use in (service.stop, service.wait_until_stopped, other.start):

            async def run(use: Any = use) -> None:
                await use()

            with pytest.raises(WrongEventLoopError):
                await asyncio.to_thread(lambda run=run: asyncio.run(run()))
        assert (await client.run("k", Run(action="a"))).text == "a"

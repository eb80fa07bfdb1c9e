"""Blocking work of handlers: it takes no thread of the library, and never keeps the process."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from testkit.otlp_receiver import otlp_receiver
from testkit.probe import CONTRACT, Outcome, Probe, ProbeClient, Run, echo
from testkit.processes import async_child_process, python_environment
from testkit.waiting import LIMIT, settle, until
from weenats import NatsServiceBuilder, TelemetrySettings
from weenats.auth import JwksKeySource
from weenats.service.threads import HandlerThreads, use_handler_threads
from weenats.telemetry.otlp import ExportingTelemetry
from weenats.testing import MemoryTransport, NatsServer


async def test_handlers_take_no_other_threads() -> None:
    """Other work runs while handlers wait for more threads than there are."""
    held = threading.Event()
    begun: list[str] = []

    async def block(key: str, command: Run, context: Any) -> Outcome:
        begun.append(key)
        await asyncio.to_thread(held.wait, LIMIT)
        return await echo(key, command, context)

    transport = MemoryTransport()
    builder = NatsServiceBuilder(Probe(block=block), transport=transport)
    async with builder.with_queue_group("probe", max_concurrency=100).build():
        client = ProbeClient(transport).with_timeout(LIMIT * 2)
        calls = [asyncio.create_task(client.run("k", Run(action="block"))) for _ in range(60)]
        await until(lambda: len(begun) == 60)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), LIMIT) == 7
        held.set()
        assert {each.text for each in await asyncio.gather(*calls)} == {"block"}


async def test_failures_and_cancelled_work() -> None:
    """Exceptions of handlers' threads arrive, and work that was cancelled never begins."""
    held = threading.Event()
    done: list[str] = []

    async def fail(key: str, command: Run, context: Any) -> Outcome:
        del key, command, context
        with pytest.raises(LookupError):
            await asyncio.to_thread({}.__getitem__, "missing")
        with pytest.raises(RuntimeError, match="raised StopIteration"):  # and not never
            await asyncio.wait_for(asyncio.to_thread(next, iter(())), LIMIT)
        waiting = [asyncio.create_task(asyncio.to_thread(held.wait, LIMIT)) for _ in range(40)]
        late = asyncio.create_task(asyncio.to_thread(done.append, "late"))
        await asyncio.sleep(0)
        late.cancel()
        await settle()
        held.set()
        await asyncio.gather(*waiting)
        return Outcome(text="ok")

    transport = MemoryTransport()
    async with NatsServiceBuilder(Probe(fail=fail), transport=transport).build():
        outcome = await ProbeClient(transport).run("k", Run(action="fail"), timeout=LIMIT)
    assert outcome.text == "ok"
    assert done == []


async def test_executor_of_the_application_is_kept() -> None:
    """Only the executor that asyncio makes by itself is replaced, once."""
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(int)
    use_handler_threads(loop)
    ours = vars(loop)["_default_executor"]
    assert type(ours) is HandlerThreads
    use_handler_threads(loop)
    assert vars(loop)["_default_executor"] is ours
    with ThreadPoolExecutor(1) as own:
        loop.set_default_executor(own)
        use_handler_threads(loop)
        assert vars(loop)["_default_executor"] is own
        loop.set_default_executor(ours)


async def test_library_needs_no_free_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are fetched and telemetry is exported while every thread of the executor is busy."""
    monkeypatch.setattr("weenats.telemetry.otlp._SHUT_DOWN_TIMEOUT", LIMIT)
    held = threading.Event()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as own, otlp_receiver() as receiver:
        loop.set_default_executor(own)
        busy = asyncio.create_task(asyncio.to_thread(held.wait, 2 * LIMIT))
        await settle()
        keys = JwksKeySource("https://issuer.example", ["EdDSA"], fetch=lambda _: b'{"keys": []}')
        keys.start()
        await until(lambda: keys.age is not None)
        await keys.close()
        telemetry = ExportingTelemetry(receiver.url, TelemetrySettings(), CONTRACT, "i-1")
        with telemetry.with_span("last"):
            pass
        await telemetry.shut_down(LIMIT)
        exported = [span.name for span in receiver.spans]
        held.set()
        await busy
    assert exported == ["last"]


SERVICE = """
import asyncio, sys, threading
from testkit.probe import Probe
from weenats import NatsServiceBuilder, TelemetrySettings
from weenats.auth import JwksKeySource

async def block(*arguments):
    print("blocks", flush=True)
    await asyncio.to_thread(threading.Event().wait)

async def main(url):
    service = NatsServiceBuilder(Probe(block=block), url).with_drain_timeout(0.1).build()
    async with service:
        print("serves", flush=True)
        await service.wait_until_stopped()
    print(await asyncio.to_thread(lambda: "saved"), flush=True)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.slow
async def test_blocked_handlers_do_not_keep_the_process(nats_server: NatsServer) -> None:
    """A process whose handler blocks for ever ends after SIGTERM."""
    async with (
        async_child_process(
            *(sys.executable, "-c", SERVICE, nats_server.url),
            env=python_environment(),
            stdout=asyncio.subprocess.PIPE,
        ) as process,
        ProbeClient.connect(nats_server.url) as client,
    ):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"serves\n"
        call = asyncio.create_task(client.run("k", Run(action="block"), timeout=LIMIT * 2))
        assert await process.stdout.readline() == b"blocks\n"
        process.terminate()
        assert await process.stdout.readline() == b"saved\n"
        assert await process.wait() == 0
        await asyncio.gather(call, return_exceptions=True)

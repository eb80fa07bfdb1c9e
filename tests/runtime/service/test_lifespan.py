"""The lifespan of handlers: entered before requests, left after them, whatever happens."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any

import pytest
from typing_extensions import override

from testkit.forks import Connection, fork, run_program
from testkit.probe import Happened, OddError, Outcome, Probe, ProbeClient, Run, echo
from testkit.waiting import LIMIT, until
from weenats import (
    NatsService,
    NatsServiceBuilder,
    NatsTransport,
    UnavailableError,
)
from weenats.service import lifespan
from weenats.testing import MemoryTransport

Body = Callable[["Lived"], AbstractAsyncContextManager[object]]


class Lived(Probe):
    """Handlers whose lifespan is that of a test; `log` has what happened, in order."""

    def __init__(self, body: Body = lambda _: nullcontext(), **actions: Any) -> None:
        super().__init__(**actions)
        self.body = body
        self.log: list[str] = []

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        self.log.append("enter")
        try:
            async with self.body(self):
                yield
        finally:
            self.log.append("leave")


def built(handlers: Probe, transport: Any = None, drain: float = LIMIT * 10) -> NatsService:
    """Build a service whose drain timeout no test waits for."""
    builder = NatsServiceBuilder(handlers, transport=transport or MemoryTransport())
    return builder.with_drain_timeout(drain).build()


def at_start(action: Callable[[Lived], Any]) -> Body:
    """Return a lifespan that awaits `action` when it is entered."""

    @asynccontextmanager
    async def body(handlers: Lived) -> AsyncGenerator[None]:
        await action(handlers)
        yield

    return body


def at_end(action: Callable[[Lived], Any]) -> Body:
    """Return a lifespan that awaits `action` when it is left."""

    @asynccontextmanager
    async def body(handlers: Lived) -> AsyncGenerator[None]:
        yield
        await action(handlers)

    return body


async def test_entered_before_and_left_after_requests(nats_url: str) -> None:
    """On a real server: enter, the request that a stop finishes, leave; it publishes at both."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def work(key: str, command: Run, context: Any) -> Outcome:
        handlers.log.append("begin")
        begun.set()
        await go_on.wait()
        handlers.log.append("end")
        return await echo(key, command, context)

    @asynccontextmanager
    async def body(handlers: Lived) -> AsyncGenerator[None]:
        await handlers.publish_happened("k", Happened(text="open"), revision=1)
        yield
        await handlers.publish_happened("k", Happened(text="closed"), revision=2)

    async def on_happened(event: Any) -> None:
        seen.append(event.data.text)

    handlers = Lived(body, work=work)
    async with ProbeClient.connect(nats_url) as client:
        await client.subscribe_happened(on_happened, max_concurrency=1)
        service = NatsServiceBuilder(handlers, nats_url).build()
        async with service:
            call = asyncio.create_task(client.run("k", Run(action="work"), timeout=LIMIT))
            await begun.wait()
            stopping = asyncio.create_task(service.stop())
            await until(lambda: not service.is_serving)
            go_on.set()
            assert (await call).text == "work"
            await stopping
        await until(lambda: len(seen) == 2)
    assert seen == ["open", "closed"]
    assert handlers.log == ["enter", "begin", "end", "leave"]
    assert service.lifespan_error is None


async def test_failing_start_is_logged_and_raised(caplog: pytest.LogCaptureFixture) -> None:
    """The exception itself is raised, its text is in the log, and nothing has been served."""

    async def fail(_: Lived) -> None:
        raise LookupError("no database at db:5432")

    service = built(Lived(at_start(fail)))
    with pytest.raises(LookupError, match="no database"):
        await service.start()
    (record,) = caplog.records
    text = "probe does not start: its lifespan failed: LookupError: no database at db:5432"
    assert (record.levelno, record.getMessage()) == (logging.ERROR, text)
    assert isinstance(service.lifespan_error, LookupError)
    assert not service.is_serving
    await service.wait_until_stopped()


@pytest.mark.parametrize(
    "raised",
    [asyncio.CancelledError(), BaseExceptionGroup("two", [asyncio.CancelledError(), OSError()])],
    ids=["cancelled", "group"],
)
async def test_cancellation_in_the_lifespan_stops_the_start(
    raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """A lifespan that awaits a cancelled task before its `yield` was not entered."""

    async def fail(_: Lived) -> None:
        raise raised

    service = built(Lived(at_start(fail)))
    with pytest.raises(RuntimeError, match=f"the lifespan raised {type(raised).__name__}"):
        await service.start()
    assert not service.is_serving
    assert "probe does not start: its lifespan failed" in caplog.text


async def test_unavailable_dependency_stops_the_start(nats_url: str) -> None:
    """A call of the lifespan without responders is what start() raises."""

    async def call(handlers: Lived) -> None:
        await ProbeClient.sharing(handlers).get("k")

    with pytest.raises(UnavailableError, match="no responders on probe"):
        async with NatsServiceBuilder(Lived(at_start(call)), nats_url).build():
            pass


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (OSError("disk full"), "OSError: disk full"),
        (OddError(), "OddError: its text cannot be read"),
        (asyncio.CancelledError(), "RuntimeError: the lifespan raised CancelledError"),
        (BaseException("panic"), "RuntimeError: the lifespan raised BaseException"),
    ],
)
async def test_failing_end_is_logged(
    raised: BaseException, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A stop ends all the same, and says in `lifespan_error` what failed, whatever that is."""

    async def fail(_: Lived) -> None:
        raise raised

    service = built(Lived(at_end(fail)))
    async with service:
        pass
    error = service.lifespan_error
    assert error is not None
    assert raised in {error, error.__cause__}
    assert f"the lifespan of probe failed while it was left: {text}" in caplog.messages
    assert repr(service).endswith("stopped>")


async def test_service_stops_when_its_lifespan_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A task group in which a task fails ends the service, which raises the reason."""
    crash = asyncio.Event()

    async def crashing() -> None:
        await crash.wait()
        raise ValueError("the feed is broken")

    @asynccontextmanager
    async def body(_: Lived) -> AsyncGenerator[None]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(crashing())
            yield

    service = built(Lived(body))
    await service.start()
    crash.set()
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(service.wait_until_stopped(), LIMIT)
    assert str(raised.value.exceptions[0]) == "the feed is broken"
    assert any(text.startswith("probe stops: its lifespan failed") for text in caplog.messages)


WITHOUT_STOP = """
import asyncio, gc, logging, signal
from contextlib import asynccontextmanager
from testkit.probe import Probe
from weenats import NatsServiceBuilder

url, is_interrupted = arguments
log = []

class Log(logging.Handler):
    def emit(self, record):
        log.append(record.getMessage())

class Handlers(Probe):
    @asynccontextmanager
    async def lifespan(self):
        try:
            yield
        finally:
            log.append("left")

async def serve():
    await NatsServiceBuilder(Handlers(), url).build().start()
    await asyncio.sleep(0)  # then SIGINT is that of the application again
    if is_interrupted:
        signal.raise_signal(signal.SIGINT)
        await asyncio.Event().wait()

logging.getLogger().addHandler(Log(logging.WARNING))
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    asyncio.run(serve())
except KeyboardInterrupt:
    log.append("interrupted")
gc.collect()
send(log)
"""


@pytest.mark.parametrize("is_interrupted", [False, True])
async def test_program_that_ends_without_a_stop(is_interrupted: bool, nats_url: str) -> None:
    """The lifespan is left; no stop begins that would not end, and nothing is logged."""
    with fork(run_program, WITHOUT_STOP, nats_url, is_interrupted) as program:
        assert await program.receive() == ["left"] + ["interrupted"] * is_interrupted


async def test_lifespan_that_ends_during_the_first_checks() -> None:
    """A lifespan that fails while the service still starts stops the start."""
    checking = asyncio.Event()

    async def hang() -> None:
        checking.set()
        await asyncio.Event().wait()

    async def fail() -> None:
        await checking.wait()
        raise ValueError("early")

    @asynccontextmanager
    async def body(_: Lived) -> AsyncGenerator[None]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())
            yield

    builder = NatsServiceBuilder(Lived(body), transport=MemoryTransport())
    checks: Any = [{"name": "hangs", "check": hang}]
    service = builder.with_health(timeout=3600, custom_checks=checks).build()
    with pytest.raises(ExceptionGroup):
        await asyncio.wait_for(service.start(), LIMIT)


async def test_stop_while_it_is_entered() -> None:
    """It is cancelled, cleans up, and start() raises."""
    begun = asyncio.Event()

    async def hang(_: Lived) -> None:
        begun.set()
        await asyncio.Event().wait()

    handlers = Lived(at_start(hang))
    service = built(handlers)
    starting = asyncio.create_task(service.start())
    await begun.wait()
    await asyncio.wait_for(service.stop(), LIMIT)
    with pytest.raises(UnavailableError, match="stopped while it started"):
        await starting
    assert handlers.log == ["enter", "leave"]


async def test_cancelled_start_cleans_up(nats_url: str) -> None:
    """Whenever the start is cancelled, a lifespan that was entered is left, and no task is left."""
    before = asyncio.all_tasks()
    left: set[int] = set()
    for steps in (*range(12), 20, 40, 80):
        handlers = Lived(at_end(lambda _: asyncio.sleep(0)))

        async def serve(handlers: Lived = handlers) -> None:
            async with NatsServiceBuilder(handlers, nats_url).build():
                await asyncio.Event().wait()

        task = asyncio.create_task(serve())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        left.add(len(handlers.log))
        assert handlers.log in ([], ["enter", "leave"])
        assert asyncio.all_tasks() == before
    handlers = Lived()
    service = NatsServiceBuilder(handlers, nats_url).build()
    starting = asyncio.create_task(service.start())
    await until(lambda: bool(handlers.log))
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    await service.stop()
    assert handlers.log == ["enter", "leave"]


async def test_slow_end_is_cancelled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After the drain timeout the lifespan is cancelled, and abandoned if it goes on."""
    monkeypatch.setattr(lifespan, "_GRACE", 0.01)
    free = asyncio.Event()

    async def hang(_: Lived) -> None:
        while not free.is_set():
            with suppress(asyncio.CancelledError):
                await free.wait()

    handlers = Lived(at_end(hang))
    service = built(handlers, drain=0.01)
    await service.start()
    await asyncio.wait_for(service.stop(), LIMIT)
    assert "the lifespan of probe does not end in time: it is cancelled" in caplog.messages
    assert "the lifespan of probe does not end when it is cancelled" in caplog.messages
    free.set()
    await until(lambda: handlers.log == ["enter", "leave"])


async def test_abort_cancels_the_end() -> None:
    """A second signal, or abort(), does not wait for a lifespan that is being left."""
    leaving = asyncio.Event()

    async def hang(_: Lived) -> None:
        leaving.set()
        await asyncio.Event().wait()

    handlers = Lived(at_end(hang))
    service = built(handlers)
    await service.start()
    stopping = asyncio.create_task(service.stop())
    await leaving.wait()
    service.abort()
    await asyncio.wait_for(stopping, LIMIT)
    assert handlers.log == ["enter", "leave"]


async def test_stop_in_the_lifespan_returns_at_once() -> None:
    """A task of the lifespan may stop the service, which waits for the lifespan."""
    stop = asyncio.Event()

    async def stop_later() -> None:
        await stop.wait()
        await service.stop()

    @asynccontextmanager
    async def body(_: Lived) -> AsyncGenerator[None]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stop_later())
            yield

    handlers = Lived(body)
    service = built(handlers)
    await service.start()
    stop.set()
    await asyncio.wait_for(service.wait_until_stopped(), LIMIT)
    assert handlers.log == ["enter", "leave"]
    assert service.lifespan_error is None


async def test_stop_while_the_lifespan_is_entered(caplog: pytest.LogCaptureFixture) -> None:
    """The start fails because of the stop; the lifespan, which was entered, is left as usual."""

    async def stop(_: Lived) -> None:
        await service.stop()  # and yields without waiting for anything

    handlers = Lived(at_start(stop))
    service = built(handlers)
    with pytest.raises(UnavailableError, match="stopped while it started"):
        await service.start()
    assert handlers.log == ["enter", "leave"]
    assert service.lifespan_error is None
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


class Coroutine(Probe):
    """Handlers without the decorator."""

    async def lifespan(self) -> None:  # type: ignore[override]
        """Return nothing."""


class Generator(Probe):
    """Handlers without the decorator."""

    async def lifespan(self) -> AsyncGenerator[None]:  # type: ignore[override]
        """Yield."""
        yield


@pytest.mark.parametrize("kind", [Coroutine, Generator])
async def test_missing_decorator_is_a_clear_error(kind: type[Probe]) -> None:
    """A lifespan without `asynccontextmanager` says how to write it."""
    with pytest.raises(TypeError, match=r"decorate it with contextlib\.async"):
        await built(kind()).start()


async def test_each_instance_enters_its_own() -> None:
    """Instances with handlers of their own do not meet; shared handlers are entered for each."""
    one, two = Lived(), Lived()
    async with built(one), built(two):
        assert (one.log, two.log) == (["enter"], ["enter"])
    async with built(one), built(one):
        assert one.log == ["enter", "leave", "enter", "enter"]
    assert one.log.count("leave") == 3
    assert two.log == ["enter", "leave"]


async def test_nothing_is_served_before(nats_url: str) -> None:
    """While the lifespan is entered, calls find no responders and health is not ok."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: Lived) -> None:
        begun.set()
        await go_on.wait()

    async with ProbeClient.connect(nats_url) as client:
        service = NatsServiceBuilder(Lived(at_start(wait)), nats_url).build()
        starting = asyncio.create_task(service.start())
        await begun.wait()
        with pytest.raises(UnavailableError, match="no responders"):
            await client.get("k")
        await service._transport.fence()
        assert (await client.check_health()).status != "ok"
        go_on.set()
        await starting
        assert (await client.get("k")).revision == 7
        await service.stop()


def _serve_hanging(pipe: Connection, where: str, url: str) -> None:
    async def hang(_: Lived) -> None:
        pipe.send("hangs")
        await asyncio.Event().wait()

    async def main() -> None:
        handlers = Lived({"start": at_start, "end": at_end}[where](hang))
        service = built(handlers, NatsTransport(url))
        try:
            await service.start()
            pipe.send("serves")
            await service.wait_until_stopped()
        except UnavailableError as error:
            pipe.send(error.message)
        pipe.send(handlers.log)

    asyncio.run(main())


async def test_signal_while_it_is_entered(nats_url: str) -> None:
    """SIGTERM cancels a lifespan that does not get ready; the program goes on to its end."""
    with fork(_serve_hanging, "start", nats_url) as child:
        assert await child.receive() == "hangs"
        child.signal(signal.SIGTERM)
        assert await child.receive() == "the service was stopped while it started"
        assert await child.receive() == ["enter", "leave"]
        assert await child.wait() == os.EX_OK


async def test_second_signal_while_it_is_left(nats_url: str) -> None:
    """The first SIGTERM leaves the lifespan, the second cancels it."""
    with fork(_serve_hanging, "end", nats_url) as child:
        assert await child.receive() == "serves"
        child.signal(signal.SIGTERM)
        assert await child.receive() == "hangs"
        child.signal(signal.SIGTERM)
        assert await child.receive() == ["enter", "leave"]
        assert await child.wait() == os.EX_OK

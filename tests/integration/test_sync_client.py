"""Synchronous clients over a real nats-server, without an event loop in the test."""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import jwt
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from receipts import ReceiptsClient, ReceiptsSyncClient
from testkit.forks import fork, run_program
from testkit.probe import (
    GET,
    RUN,
    Happened,
    MissingDetails,
    Outcome,
    PartMissingError,
    Probe,
    ProbeSyncClient,
    Run,
)
from testkit.processes import child_process, python_environment
from testkit.telemetry import EVERYTHING, recording
from testkit.waiting import LIMIT, wait_for
from weenats import (
    CachedToken,
    ConnectionClosedError,
    ConnectionOptions,
    DeadlineExceededError,
    InvalidArgumentError,
    NatsServiceBuilder,
    NatsTransport,
    ReceivedEvent,
    RequestContext,
    Response,
    TelemetrySettings,
    UnavailableError,
    WrongEventLoopError,
)
from weenats.client import loop_thread
from weenats.interceptors import CallNext
from weenats.testing import MemoryTransport, serving

MARK: ContextVar[str] = ContextVar("MARK", default="")
TOKEN = jwt.encode({"sub": "ann"}, "a secret that is long enough for HS256")


@pytest.fixture
def probe() -> Probe:
    """The handlers of the running probe."""
    return Probe()


@pytest.fixture
def client(nats_url: str, probe: Probe) -> Iterator[ProbeSyncClient]:
    """A synchronous client of the running probe."""
    service = NatsServiceBuilder(probe, nats_url).with_drain_timeout(0.1).build()
    with serving(service), ProbeSyncClient.connect(nats_url) as connected:
        yield connected


class Blocking:
    """An action that waits until it is cancelled."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.cancelled = threading.Event()

    async def __call__(self, key: str, command: Run, context: RequestContext) -> Outcome:
        """Wait."""
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        return Outcome(text=key)


@pytest.mark.parametrize("name", [each for each in dir(ReceiptsClient) if each[0] != "_"])
def test_methods_are_those_of_the_async_client(name: str) -> None:
    """Each public member has the same parameters, and says the same."""
    there, here = getattr(ReceiptsClient, name), getattr(ReceiptsSyncClient, name)
    if not callable(there):
        return
    ours, theirs = inspect.signature(here), inspect.signature(there)
    assert list(ours.parameters) == list(theirs.parameters)
    assert not inspect.iscoroutinefunction(here)
    assert (here.__doc__ or "").splitlines()[0] == (there.__doc__ or "").splitlines()[0]
    if not name.startswith(("subscribe", "sharing", "on_all")):
        assert ours == theirs


def test_calls_and_discovery(client: ProbeSyncClient) -> None:
    """Commands, queries and discovery return what they await in the async client."""
    assert client.run("k", Run(action="hello")).text == "hello"
    entity = client.get("k")
    assert (entity.state.text, entity.revision) == ("k", 7)
    assert client.get_service_info().name == "probe"
    assert client.get_service_stats().name == "probe"
    assert [each.name for each in client.list_instances()] == ["probe"]
    assert client.check_health().status == "ok"


def test_calls_of_instances(client: ProbeSyncClient) -> None:
    """All instances, or one of them, are called through the async client."""
    (reply,) = client.on_all(lambda one: one.get("k"), max_replies=1)
    assert reply.result().revision == 7
    assert client.on_instance(reply.instance.id).get("k").revision == 7
    with pytest.raises(InvalidArgumentError, match="neither a query nor idempotent"):
        client.on_instance(reply.instance.id).run("k", Run(action="hello"))


def test_declared_error_is_raised_in_the_caller(client: ProbeSyncClient, probe: Probe) -> None:
    """An error of the contract has its own class and its details."""

    async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
        raise PartMissingError(details=MissingDetails(part="wheel"))

    probe.actions["fail"] = fail
    with pytest.raises(PartMissingError) as caught:
        client.run("k", Run(action="fail"))
    assert caught.value.details.part == "wheel"
    assert caught.value.remote


def test_derived_clients(client: ProbeSyncClient, probe: Probe) -> None:
    """Token, header, context, timeout, interceptor and retry apply to the derived client alone."""
    attempts: list[str] = []

    async def refuse_first(context: RequestContext, call_next: CallNext) -> Response:
        attempts.append(MARK.get())
        if len(attempts) == 1:
            raise UnavailableError("not now")
        return await call_next(context)

    derived = (
        client.with_token(TOKEN)
        .with_header("X-Shop", "7")
        .with_context(tenant="north")
        .with_timeout(9)
        .with_retry(initial_backoff=0.001)
        .with_interceptor(refuse_first)
    )
    MARK.set("mine")
    derived.get("k")
    client.get("k")
    theirs, plain = probe.seen
    assert (theirs.headers["X-Shop"], theirs.metadata_context["tenant"]) == ("7", "north")
    assert theirs.token == TOKEN
    assert (plain.token, plain.headers.get("X-Shop")) == (None, None)
    assert attempts == ["mine", "mine"]  # the context variables of the calling thread


def test_span_of_the_caller_is_the_parent(client: ProbeSyncClient) -> None:
    """The span that is current in the calling thread is the parent of the call's span."""
    with recording() as observed:
        traced = client.with_telemetry(TelemetrySettings(sampling=EVERYTHING))
        with trace.get_tracer("app").start_as_current_span("page") as page:
            assert traced.query(GET, "k", None).revision == 7
            assert traced.execute(RUN, "k", Run(action="hello")).text == "hello"
    for span in observed.of(SpanKind.CLIENT):
        assert span.parent is not None
        assert span.parent.span_id == page.get_span_context().span_id
    assert len(observed.of(SpanKind.CLIENT)) == 2


def test_call_in_a_thread_of_a_handler(client: ProbeSyncClient, probe: Probe) -> None:
    """A call within `asyncio.to_thread` of a handler belongs to the request that it serves."""

    async def nested(key: str, command: Run, context: RequestContext) -> Outcome:
        await asyncio.to_thread(client.get, "inner")
        return Outcome(text=key)

    probe.actions["nested"] = nested
    client.run("k", Run(action="nested"), correlation_id="outermost")
    outer, inner = probe.seen
    assert (outer.correlation_id, inner.correlation_id) == ("outermost", "outermost")
    assert inner.causation_id == outer.message_id


def test_deadline_ends_the_wait(client: ProbeSyncClient, probe: Probe) -> None:
    """A call that takes too long fails with DeadlineExceededError, and its handler is cancelled."""
    blocking = probe.actions["block"] = Blocking()
    with pytest.raises(DeadlineExceededError):
        client.run("k", Run(action="block"), timeout=0.2)
    if blocking.entered.is_set():
        assert blocking.cancelled.wait(LIMIT)


def test_debug_mode_of_asyncio_shows_no_results(
    client: ProbeSyncClient, probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    """It logs tasks that take long, with their results."""

    async def answer(*_: Any) -> Outcome:
        return Outcome(text="s3cret")

    async def debug(*, is_on: bool) -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0 if is_on else 0.1
        loop.set_debug(is_on)

    probe.actions["go"] = answer
    loop_thread.process_loop().run(debug(is_on=True))
    try:
        assert client.run("k", Run(action="go")).text == "s3cret"
    finally:
        loop_thread.process_loop().run(debug(is_on=False))
    assert "Executing <Task finished" in caplog.text
    assert "s3cret" not in caplog.text


def test_unknown_option_is_refused(client: ProbeSyncClient) -> None:
    """A wrong option fails as in the async client."""
    with pytest.raises(TypeError, match="did you mean timeout"):
        client.get("k", timeuot=1)  # type: ignore[call-arg]


def test_threads_share_one_connection(client: ProbeSyncClient) -> None:
    """Many threads call at once; each gets its own answer."""
    with ThreadPoolExecutor(16) as pool:
        texts = [str(number) for number in range(200)]
        answers = pool.map(lambda text: client.run("k", Run(action=text)).text, texts)
        assert list(answers) == texts
    names = [each.name for each in threading.enumerate()]
    assert names.count("weenats sync clients") == 1


def test_caller_may_run_an_event_loop(client: ProbeSyncClient) -> None:
    """A call works where a loop runs already, as in a notebook or an async view."""

    async def cell() -> str:
        return client.run("k", Run(action="hello")).text

    assert asyncio.run(cell()) == "hello"


def test_call_on_its_own_loop_is_refused(client: ProbeSyncClient) -> None:
    """An interceptor that uses a synchronous client gets an error: it would block for ever."""

    async def nested(context: RequestContext, call_next: CallNext) -> Response:
        client.get("other")
        return await call_next(context)

    with pytest.raises(RuntimeError, match="use the async client"):
        client.with_interceptor(nested).get("k")
    assert client.get("k").revision == 7


def test_system_exit_in_an_interceptor(client: ProbeSyncClient) -> None:
    """SystemExit ends the call that raised it; the loop serves the next one."""

    async def leave(context: RequestContext, call_next: CallNext) -> Response:
        sys.exit(3)

    with pytest.raises(SystemExit):
        client.with_interceptor(leave).get("k")
    assert client.get("k").revision == 7


class TimeLimitError(RuntimeError):
    """What the signal handler of a worker raises."""


def _end_work(*_: object) -> None:
    raise TimeLimitError


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGUSR1, TimeLimitError)]
)
def test_exception_of_a_signal_handler_cancels(
    client: ProbeSyncClient,
    probe: Probe,
    request: pytest.FixtureRequest,
    number: signal.Signals,
    error: type[BaseException],
) -> None:
    """What a signal handler raises in a waiting call is raised at once; the call is cancelled."""
    blocking = probe.actions["block"] = Blocking()
    former = signal.signal(signal.SIGUSR1, _end_work)
    request.addfinalizer(lambda: signal.signal(signal.SIGUSR1, former))

    def interrupt() -> None:
        assert blocking.entered.wait(LIMIT)
        os.kill(os.getpid(), number)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(error):
        client.run("k", Run(action="block"), timeout=LIMIT)
    interrupter.join()
    assert blocking.cancelled.wait(LIMIT)
    assert client.get("k").revision == 7


def test_closed_client_is_refused(client: ProbeSyncClient, nats_url: str) -> None:
    """The connection closes with the last `with` block; calls fail afterwards."""
    other = ProbeSyncClient.connect(nats_url)
    with other, other.with_timeout(3) as inner:
        inner.get("k")
    with pytest.raises(ConnectionClosedError):
        other.get("k")
    other.close()
    assert client.get("k").revision == 7


def test_clients_share_a_connection(client: ProbeSyncClient) -> None:
    """A client that is given the transport of another one shares it, and leaves it open."""
    with ProbeSyncClient(client.transport) as second:
        assert second.get("k").revision == 7
    second.close()
    assert client.get("k").revision == 7


def test_sharing_a_client(client: ProbeSyncClient) -> None:
    """A client of an owner has its connection and leaves it open; handlers are not an owner."""
    second = ProbeSyncClient.sharing(client)
    assert second.transport is client.transport
    with second:
        assert second.get("k").revision == 7
    assert client.get("k").revision == 7
    with pytest.raises(TypeError, match="takes a synchronous client, not <"):
        ProbeSyncClient.sharing(Probe())  # type: ignore[arg-type]


def test_url_in_place_of_a_transport() -> None:
    """A URL is refused with the method that takes it."""
    with pytest.raises(TypeError, match=r"ProbeSyncClient\.connect\(url\)"):
        ProbeSyncClient("nats://localhost")  # type: ignore[arg-type]


async def test_transport_of_another_loop_is_refused(nats_url: str) -> None:
    """A connection that an async client opened elsewhere cannot be used."""
    transport = NatsTransport(nats_url)
    await transport.connect()
    try:
        with pytest.raises(WrongEventLoopError):
            ProbeSyncClient(transport).get("k")
    finally:
        await transport.close()


def test_no_server_at_the_deadline() -> None:
    """A server that cannot be reached is an UnavailableError within the time of the call."""
    options = ConnectionOptions(connect_timeout=0.05, reconnect_wait=0.01)
    unreachable = ProbeSyncClient.connect("nats://127.0.0.1:9", connection=options)
    with pytest.raises(UnavailableError):
        unreachable.get("k", timeout=0.2)
    unreachable.close()


def test_memory_transport() -> None:
    """A test needs neither a server nor a plugin."""
    transport = MemoryTransport()
    with serving(NatsServiceBuilder(Probe(), transport=transport).build()):
        assert ProbeSyncClient(transport).run("k", Run(action="hello")).text == "hello"


@pytest.mark.parametrize("cached", [False, True])
def test_token_provider_may_block(client: ProbeSyncClient, probe: Probe, *, cached: bool) -> None:
    """A synchronous provider runs in a thread of its own, where it may use synchronous clients."""
    MARK.set("mine")
    seen: list[str] = []

    def fetch() -> str:
        seen.append("" if cached else MARK.get())
        client.get("token")
        return TOKEN

    client.with_token(CachedToken(fetch) if cached else fetch).get("k")
    assert probe.seen[-1].token == TOKEN
    assert seen == ["" if cached else "mine"]


def test_events_are_handled_in_threads(client: ProbeSyncClient) -> None:
    """A plain function gets each event, and may call the service, within the event's context."""
    received: list[tuple[str, str]] = []
    done = threading.Event()

    def on_happened(event: ReceivedEvent[Happened]) -> None:
        received.append((event.data.text, client.get(event.key).state.text))
        if len(received) == 3:
            done.set()

    with client.subscribe_happened(on_happened, max_concurrency=1):
        for number in range(3):
            client.publish_happened(f"k{number}", Happened(text=str(number)), revision=number)
        assert done.wait(LIMIT)
    assert received == [("0", "k0"), ("1", "k1"), ("2", "k2")]
    wait_for(lambda: all(each.name != "weenats events" for each in threading.enumerate()))


def test_event_handler_can_unsubscribe_itself(
    client: ProbeSyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the handlers of the events that have arrived, not for itself."""
    module = importlib.import_module("weenats.events.subscribe")
    monkeypatch.setattr(module, "_DRAIN_TIMEOUT", 2 * LIMIT)
    may_end, ended = threading.Event(), threading.Semaphore(0)

    def once(event: ReceivedEvent[Happened]) -> None:
        del event
        assert may_end.wait(LIMIT)
        subscription.unsubscribe()
        ended.release()

    subscription = client.subscribe_happened(once, max_concurrency=1)
    for revision in range(3):
        client.publish_happened("k", Happened(text="x"), revision=revision)
    client.check_health()  # the events have arrived
    may_end.set()
    assert all(ended.acquire(timeout=LIMIT) for _ in range(3))


def test_interrupted_unsubscribing_goes_on(
    client: ProbeSyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Events that have arrived are handled, although KeyboardInterrupt ended the waiting."""
    received: list[str] = []
    may_end, unsubscribing = threading.Event(), threading.Event()

    def on_happened(event: ReceivedEvent[Happened]) -> None:
        assert may_end.wait(LIMIT)
        received.append(event.data.text)

    def interrupt() -> None:
        assert unsubscribing.wait(LIMIT)
        os.kill(os.getpid(), signal.SIGINT)

    subscription = client.subscribe_happened(on_happened, max_concurrency=1)
    for text in ("a", "b"):
        client.publish_happened("k", Happened(text=text), revision=1)
    client.check_health()  # the events have arrived
    unsubscribe = subscription._subscription.unsubscribe

    async def observed() -> None:
        unsubscribing.set()
        await unsubscribe()

    subscription._subscription.unsubscribe = observed  # type: ignore[method-assign]
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        subscription.unsubscribe()
    interrupter.join()
    may_end.set()
    wait_for(lambda: received == ["a", "b"])
    wait_for(lambda: all(each.name != "weenats events" for each in threading.enumerate()))
    assert not caplog.records


def test_failure_of_an_event_handler_is_logged(
    client: ProbeSyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in a handler is logged, and the next event is handled."""
    done = threading.Event()

    def on_happened(event: ReceivedEvent[Happened]) -> None:
        if event.data.text == "bad":
            raise ValueError("broken handler")
        if event.data.text == "empty":
            next(iter(()))
        done.set()

    with caplog.at_level(logging.ERROR), client.subscribe_happened(on_happened, max_concurrency=1):
        for text in ("bad", "empty", "good"):
            client.publish_happened("k", Happened(text=text), revision=1)
        assert done.wait(LIMIT)
    assert caplog.text.count("the handler of probe.events.thing.happened failed") == 2
    assert "a function in a thread raised StopIteration" in caplog.text


async def _async_handler(event: ReceivedEvent[Happened]) -> None:
    raise NotImplementedError


@pytest.mark.parametrize("handler", [_async_handler, None])
def test_event_handler_is_a_plain_function(client: ProbeSyncClient, handler: Any) -> None:
    """An async handler is refused at once: it would never be awaited."""
    with pytest.raises(TypeError, match="must be a plain function"):
        client.subscribe_happened(handler)


def test_refused_subscription_leaves_nothing(client: ProbeSyncClient) -> None:
    """An option that is out of range fails as in the async client."""
    with pytest.raises(ValueError, match="max_concurrency"):
        client.subscribe_happened(lambda _: None, max_concurrency=0)


def test_no_thread_left_for_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system starts no more threads, a call fails with the reason."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(loop_thread, "_PROCESS", loop_thread._Process())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(UnavailableError, match="can't start new thread"):
        ProbeSyncClient(MemoryTransport()).get("k")


def test_signal_handler_may_make_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that interrupts the start of the event loop, in its thread, gets the same loop."""
    started: list[loop_thread.LoopThread] = []
    used: list[loop_thread.LoopThread] = []

    class Interrupted(loop_thread.LoopThread):
        def __init__(self) -> None:
            super().__init__()
            started.append(self)
            if len(started) == 1:
                used.append(loop_thread.process_loop())

    process = loop_thread._Process()
    monkeypatch.setattr(loop_thread, "_PROCESS", process)
    monkeypatch.setattr(loop_thread, "LoopThread", Interrupted)
    call = threading.Thread(target=lambda: used.append(loop_thread.process_loop()), daemon=True)
    call.start()
    call.join(LIMIT)
    assert used == [started[1]] * 2
    assert not started[0]._thread.is_alive()
    process.end()


FORK = """
import os, sys, warnings
from testkit.probe import ProbeSyncClient, Run
from weenats import WrongEventLoopError

url = arguments[0]
unused = ProbeSyncClient.connect(url)
used = ProbeSyncClient.connect(url)
assert used.run("k", Run(action="before")).text == "before"
heard = used.subscribe_happened(print)
warnings.simplefilter("error")
sys.unraisablehook = lambda _: os._exit(2)  # such as a coroutine that is never awaited

def child():
    for client in (used, used.with_timeout(3)):
        for call in (lambda: client.get("k"), client.close, client.__enter__, heard.unsubscribe):
            try:
                call()
            except WrongEventLoopError as error:
                assert "before this process was forked" in error.message
            else:
                os._exit(1)
    assert unused.run("k", Run(action="child")).text == "child"
    unused.close()
    os._exit(7)

for _ in range(3):
    pid = os.fork()
    if pid == 0:
        child()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
assert used.run("k", Run(action="after")).text == "after"
used.close()
send("done")
"""


async def test_use_after_fork_is_refused(nats_url: str) -> None:
    """A client that was used before the fork is refused; an unused one works in each child."""
    async with NatsServiceBuilder(Probe(), nats_url).build():
        with fork(run_program, FORK, nats_url) as child:
            assert await child.receive() == "done"
            assert await child.wait() == 0


AT_EXIT = """
import sys, threading
from contextlib import suppress
from testkit.probe import Happened, ProbeSyncClient, Run
from weenats import ConnectionLostError

client = ProbeSyncClient.connect(sys.argv[1])
client.get("k")
client.publish_happened("k", Happened(text="last words"), revision=1)

def wait():
    with suppress(ConnectionLostError):  # the outcome is unknown
        client.run("k", Run(action="block"), timeout=600)

threading.Thread(target=wait, daemon=True).start()

def work():
    main.join()
    print(client.get("k").state.text)  # threads that Python waits for may still call

main = threading.main_thread()
threading.Thread(target=work).start()
"""


@pytest.mark.slow
def test_end_of_the_process_closes(nats_url: str, client: ProbeSyncClient, probe: Probe) -> None:
    """A script that closes nothing ends at once, in silence, and loses no event."""
    probe.actions["block"] = Blocking()
    events: list[str] = []
    arrived = threading.Event()

    def on_happened(event: ReceivedEvent[Happened]) -> None:
        events.append(event.data.text)
        arrived.set()

    command = [sys.executable, "-W", "error", "-c", AT_EXIT, nats_url]
    with client.subscribe_happened(on_happened):
        with child_process(command, stdout=-1, stderr=-1, env=python_environment()) as child:
            output, errors = child.communicate()
        assert arrived.wait(LIMIT)
    assert (output, errors, child.returncode) == ("k\n", "", 0)
    assert events == ["last words"]


LATE = """
import sys
from weenats.client.loop_thread import _PROCESS
from testkit.probe import ProbeSyncClient
from weenats import ConnectionClosedError

url = arguments[0]
client = ProbeSyncClient.connect(url)
client.get("k")
_PROCESS.end()
for late in (client, ProbeSyncClient.connect(url)):
    try:
        late.get("k")
    except ConnectionClosedError as error:
        send(error.message)
unused = type(_PROCESS)()
unused.end()
"""


async def test_call_after_the_end_is_refused(nats_url: str) -> None:
    """Functions of atexit that run later get a typed error, and do not hang."""
    async with NatsServiceBuilder(Probe(), nats_url).build():
        with fork(run_program, LATE, nats_url) as child:
            assert "process is ending" in await child.receive()
            assert "process is ending" in await child.receive()
            assert await child.wait() == 0


BLOCKED = """
import logging, threading
from weenats.client import loop_thread

class Sending(logging.Handler):
    def emit(self, record):
        send(record.getMessage())

loop_thread._LOG.addHandler(Sending())
loop_thread._EXIT_TIMEOUT = 0.05
loop_thread.process_loop()._loop.call_soon_threadsafe(threading.Event().wait)
loop_thread._PROCESS.end()
"""


async def test_blocked_loop_does_not_keep_the_process() -> None:
    """The end of the process waits for a blocked loop within a limit, and says so."""
    with fork(run_program, BLOCKED) as child:
        assert "is blocked" in await child.receive()
        assert await child.wait() == 0


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_event_handler_that_ends_its_thread(
    client: ProbeSyncClient, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """It is logged as a failure of the handler, and the next event is handled."""
    done = threading.Event()

    def on_happened(event: ReceivedEvent[Happened]) -> None:
        if event.data.text == "end":
            raise error
        done.set()

    with client.subscribe_happened(on_happened, max_concurrency=1):
        for text in ("end", "go on"):
            client.publish_happened("k", Happened(text=text), revision=1)
        assert done.wait(LIMIT)
    gc.collect()
    assert {each.name for each in caplog.records} <= {"weenats.events", "weenats.admission"}
    assert "raised" in caplog.text or "unexpected error" in caplog.text


def test_options_of_subscriptions_are_checked(client: ProbeSyncClient) -> None:
    """As those of the async client."""
    wrong: Any = "1"
    with pytest.raises(ValueError, match="max_concurrency is from 1 to 1000"):
        client.subscribe_happened(print, max_concurrency=wrong)

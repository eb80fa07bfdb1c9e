"""Nothing of one request reaches another one: neither context variables nor values it writes."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from traceback import walk_tb
from typing import Any

import pytest

from testkit.probe import Happened, Outcome, Probe, ProbeClient, Run
from testkit.waiting import LIMIT, exceed_deadline, until
from weenats import (
    CallNext,
    EventSubscription,
    NatsServiceBuilder,
    NatsTransport,
    NotFoundError,
    ReceivedEvent,
    RequestContext,
    Response,
    ServiceError,
)
from weenats._internal.tracebacks import MAX_FRAMES
from weenats.context import CURRENT
from weenats.transport import Delivery

TENANT: ContextVar[str] = ContextVar("tenant", default="none")
GO = Run(action="go")


def happened() -> Happened:
    """Return the data of an event."""
    return Happened.model_validate({"whatText": "x"})


async def test_subscription_of_a_request_keeps_no_variables(
    client: ProbeClient, handlers: Probe
) -> None:
    """The handler of an event sees no variable of the request that subscribed, nor its trace."""
    seen: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    subscriptions: list[EventSubscription] = []

    async def on_event(event: ReceivedEvent[Happened]) -> None:
        await seen.put((TENANT.get(), event.correlation_id))

    async def subscribe(key: str, command: Run, context: RequestContext) -> Outcome:
        del command, context
        TENANT.set(key)
        subscriptions.append(await client.subscribe_happened(on_event))
        return Outcome(text=key)

    handlers.actions["go"] = subscribe
    await client.run("acme", GO, correlation_id="of acme")
    await client.publish_happened("k", happened(), revision=1)
    async with asyncio.timeout(LIMIT):
        tenant, correlation = await seen.get()
    assert tenant == "none"
    assert correlation != "of acme"
    await subscriptions[0].unsubscribe()


async def test_subscription_outside_of_services_keeps_no_variables(client: ProbeClient) -> None:
    """The handler of an event sees no variable of who subscribed, such as a request of the web."""
    TENANT.set("of the subscriber")
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def on_event(event: ReceivedEvent[Happened]) -> None:
        del event
        await seen.put(TENANT.get())

    async with await client.subscribe_happened(on_event), asyncio.timeout(LIMIT):
        await client.publish_happened("k", happened(), revision=1)
        assert await seen.get() == "none"


async def test_service_started_in_a_request_keeps_no_variables(nats_url: str) -> None:
    """Requests see no variable of whoever built and started the service and its connection."""
    TENANT.set("of the starter")
    seen: list[str] = []

    async def look(key: str, command: Run, context: RequestContext) -> Outcome:
        del command, context
        seen.append(TENANT.get())
        TENANT.set(f"of {key}")
        return Outcome(text=key)

    service = NatsServiceBuilder(Probe(go=look), nats_url).build()
    async with service, ProbeClient.connect(nats_url) as client:
        for key in "ab":
            await client.run(key, GO)
    assert seen == ["none", "none"]


async def test_connection_of_a_request_keeps_no_variables(nats_url: str) -> None:
    """What a connection hands over is not in the context of the request that opened it."""
    transport = NatsTransport(nats_url)
    seen: list[str] = []
    TENANT.set("of the first request")
    await transport.connect()

    def look(delivery: Delivery) -> None:
        del delivery
        seen.append(TENANT.get())

    transport.subscribe("test.isolation", look)
    transport.publish("test.isolation", b"")
    await transport.fence()
    await transport.close()
    assert seen == ["none"]


async def test_answer_at_the_deadline_has_the_request_variables(nats_url: str) -> None:
    """on_answer sees the variables of its own request, whoever ends it."""
    seen: list[tuple[str, Any]] = []
    begun: list[str] = []

    async def name_tenant(context: RequestContext, call_next: CallNext) -> Response:
        TENANT.set(context.key)
        context.on_answer(note)
        return await call_next(context)

    def note(context: RequestContext, error: ServiceError | None) -> None:
        current = CURRENT.get()
        assert current is not None
        seen.append((TENANT.get(), current.message_id == context.message_id))
        assert error is not None

    async def hang(key: str, command: Run, context: RequestContext) -> Outcome:
        del command, context
        begun.append(key)
        await asyncio.Event().wait()
        raise AssertionError

    service = NatsServiceBuilder(Probe(go=hang), nats_url).with_interceptor(name_tenant).build()
    async with service, ProbeClient.connect(nats_url) as client:
        TENANT.set("of the caller")
        await exceed_deadline(lambda timeout: client.run("late", GO, timeout=timeout), begun.copy)
        await until(lambda: seen)
        assert set(seen) == {("late", True)}
        begun.clear()
        seen.clear()
        waiting = asyncio.create_task(client.run("stopped", GO))
        await until(lambda: begun)
        TENANT.set("of who stops")
        service.abort()
        with pytest.raises(ServiceError):
            await waiting
    assert seen == [("stopped", True)]


@pytest.mark.parametrize("context", [None, {"tags": ["a"]}])
async def test_metadata_context_is_read_only(
    client: ProbeClient, handlers: Probe, context: dict[str, Any] | None
) -> None:
    """A handler cannot write to it, with and without values, and events have none either."""
    errors: list[str] = []
    arrived: asyncio.Queue[ReceivedEvent[Happened]] = asyncio.Queue()

    async def write(key: str, command: Run, request: RequestContext) -> Outcome:
        del command
        values: Any = request.metadata_context
        try:
            values["tenant"] = "acme"
        except TypeError as error:
            errors.append(str(error))
        return Outcome(text=str(dict(request.metadata_context)))

    handlers.actions["go"] = write
    options: dict[str, Any] = {} if context is None else {"context": context}
    for _ in range(2):
        assert (await client.run("k", GO, **options)).text == str(context or {})
    assert len(errors) == 2
    async with await client.subscribe_happened(arrived.put):
        await client.publish_happened("k", happened(), revision=1)
        async with asyncio.timeout(LIMIT):
            received: Any = (await arrived.get()).metadata_context
    with pytest.raises(TypeError):
        received["tenant"] = "acme"


def _write_metadata(context: Any) -> None:
    context.metadata_context["by"] = "the first call"


def _write_nested(context: Any) -> None:
    context.metadata_context["nested"]["by"] = "the first call"


def _append(context: Any) -> None:
    context.metadata_context["tags"].append("the first call")


def _write_header(context: Any) -> None:
    context.headers["X-By"] = "the first call"


@pytest.mark.parametrize("write", [_write_metadata, _write_nested, _append, _write_header])
async def test_interceptors_cannot_change_a_client(
    client: ProbeClient, handlers: Probe, write: Callable[[Any], None]
) -> None:
    """What an interceptor writes to a call's values does not reach the next call of the client."""
    refused: list[Exception] = []

    async def spoil(context: RequestContext, call_next: CallNext) -> Response:
        try:
            write(context)
        except (TypeError, AttributeError) as error:
            refused.append(error)
        return await call_next(context)

    tags = ["a"]
    shared = client.with_context(tags=tags, nested={"a": 1}).with_header("X-One", "1")
    calling = shared.with_interceptor(spoil)
    tags.append("later")
    for _ in range(2):
        await calling.run("k", GO)
    assert len(refused) == 2
    for seen in handlers.seen:
        assert seen.metadata_context == {"tags": ["a"], "nested": {"a": 1}}
        assert seen.headers["x-one"] == "1"
        assert "x-by" not in seen.headers


@pytest.mark.parametrize("key", ["one", "group"])
async def test_exception_that_is_raised_again_keeps_few_requests(
    client: ProbeClient, handlers: Probe, key: str
) -> None:
    """A stored exception that handlers raise again and again keeps a limited number of frames."""
    stored = ConnectionResetError("the connection broke")
    wrapped = ExceptionGroup("of a task group", [stored])

    async def read(key: str, command: Run, context: RequestContext) -> Outcome:
        try:
            raise stored if key == "one" else wrapped
        except (OSError, ExceptionGroup) as error:
            if key == "group":
                raise
            raise ValueError("no data") from error

    handlers.actions["go"] = read
    for _ in range(MAX_FRAMES + 10):
        with pytest.raises(ServiceError):
            await client.run(key, GO)
    assert depth(stored) <= MAX_FRAMES
    assert depth(wrapped) <= MAX_FRAMES


async def test_exception_that_is_raised_again_keeps_few_events(client: ProbeClient) -> None:
    """A stored exception that handlers of events raise again keeps a limited number of frames."""
    stored = ConnectionResetError("the connection broke")
    seen: list[str] = []

    async def on_event(event: ReceivedEvent[Happened]) -> None:
        seen.append(event.message_id)
        raise stored

    count = MAX_FRAMES + 10
    async with await client.subscribe_happened(on_event):
        for number in range(1, count + 1):
            await client.publish_happened("k", happened(), revision=number)
        await until(lambda: len(seen) == count)
        await until(lambda: depth(stored) <= MAX_FRAMES)


async def test_tracebacks_are_whole_in_records_that_are_formatted_later(
    client: ProbeClient, handlers: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of causes as well: handlers of the log may format in another thread."""

    async def read(key: str, command: Run, context: RequestContext) -> Outcome:
        try:
            raise ConnectionResetError
        except OSError as error:
            raise ValueError from error

    handlers.actions["go"] = read
    with pytest.raises(ServiceError):
        await client.run("k", GO)
    (record,) = (each for each in caplog.records if each.name == "weenats.service")
    assert logging.Formatter().format(record).count(", in read\n") == 2


class _UnknownError(KeyError):
    """Unlike classes of Python, it can be the object of a weak reference."""


async def test_failed_requests_are_freed_without_collection(
    client: ProbeClient, handlers: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception and the frames of its traceback do not keep each other alive."""
    raised: list[weakref.ref[BaseException]] = []

    async def read(key: str, command: Run, context: RequestContext) -> Outcome:
        error = NotFoundError("there is none") if key == "known" else _UnknownError(key)
        raised.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    handlers.actions["go"] = read
    caplog.set_level(logging.CRITICAL, "weenats.service")  # records that pytest keeps have frames
    gc.disable()
    try:
        for key in ("known", "unknown"):
            with pytest.raises(ServiceError):
                await client.run(key, GO)
        await until(lambda: [each() for each in raised] == [None, None])
    finally:
        gc.enable()


async def test_failed_calls_are_freed_without_collection(
    client: ProbeClient, handlers: Probe
) -> None:
    """The same on the side of the caller."""
    raised: list[weakref.ref[BaseException]] = []

    async def fail(*_: object) -> Outcome:
        raise NotFoundError

    handlers.actions["go"] = fail
    gc.disable()
    try:
        try:
            await client.run("k", GO)
        except NotFoundError as error:
            raised.append(weakref.ref(error))
        await until(lambda: [each() for each in raised] == [None])
    finally:
        gc.enable()


def depth(error: BaseException) -> int:
    """Return how many frames the traceback of an exception has."""
    return len(list(walk_tb(error.__traceback__)))

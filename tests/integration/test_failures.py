"""Every failure reaches the caller immediately, typed and without secrets."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from functools import reduce
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from testkit.probe import NotReadyError, Outcome, Probe, ProbeClient, Run, UndeclaredError
from testkit.projections import COUNTS
from testkit.waiting import LIMIT, exceed_deadline
from weenats import (
    CallNext,
    ConnectionOptions,
    InternalError,
    InvalidArgumentError,
    MessageTooLargeError,
    NatsServiceBuilder,
    NatsTransport,
    NotFoundError,
    PermissionDeniedError,
    RequestContext,
    ResourceExhaustedError,
    Response,
    ServiceError,
    UnavailableError,
)
from weenats.protocol.subjects import key_token

if TYPE_CHECKING:
    from conftest import Gate

RUN = "probe.command.thing.run"
HIDDEN = ConnectionOptions(credentials="/run/hidden.creds")
WITH_CONTEXT = (
    b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"a"},"metadata":'
    b'{"messageId":"01JD8Q3X7B9Z6M0N4R5S8T2VWY","timestamp":"2026-03-01T09:30:00.125Z",'
    b'"context":%b}}'
)
GOOD = {"aggregateId": {"type": "thing", "key": "k"}, "command": {"action": "a"}}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", ""),
        (b"not json", ""),
        (b"\xff\xfe", ""),
        (b"[]", ""),
        (b"null", ""),
        (b"{}", "/aggregateId"),
        (b'{"aggregateId":{"type":"thing","key":"k"}}', "/command"),
        (
            b'{"aggregateId":{"type":"other","key":"k"},"command":{"action":"a"}}',
            "/aggregateId/type",
        ),
        (b'{"aggregateId":{"type":"thing","key":""},"command":{"action":"a"}}', "/aggregateId/key"),
        (b'{"aggregateId":{"type":"thing","key":"\\ud800"},"command":{"action":"a"}}', ""),
        (b'{"aggregateId":{"type":"thing","key":5},"command":{"action":"a"}}', "/aggregateId/key"),
        (b'{"aggregateId":{"type":"thing","key":"k"},"command":[]}', "/command"),
        (b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":5}}', "/command/action"),
        (
            b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"a","amount":NaN}}',
            "/command/amount",
        ),
        (
            b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"a","amount":null}}',
            "/command/amount",
        ),
        (
            b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"a","amount":"1"}}',
            "/command/amount",
        ),
        (
            b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"a","retryCount":"1"}}',
            "/command/retryCount",
        ),
        (
            b'{"aggregateId":{"type":"thing","key":"k"},"command":'
            + b"[" * 5000
            + b"]" * 5000
            + b"}",
            "",
        ),
        (
            b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"a"},"metadata":{}}',
            "/metadata/messageId",
        ),
        (
            b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"a"},"metadata":null}',
            "/metadata",
        ),
        (b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"a"},"x":-Infinity}', ""),
        (WITH_CONTEXT % b"[]", "/metadata/context"),
        (WITH_CONTEXT % b'{"x":NaN}', ""),
        (WITH_CONTEXT % b'{"x":}', ""),
    ],
)
async def test_malformed_request_reports_the_violation(ask: Any, body: bytes, pointer: str) -> None:
    """A request that breaks the contract gets INVALID_ARGUMENT with a JSON pointer."""
    answer = await ask(RUN, body)
    assert answer["success"] is False
    assert answer["error"]["code"] == "INVALID_ARGUMENT"
    assert answer["error"]["details"]["violations"][0]["pointer"] == pointer
    assert answer["headers"]["Nats-Service-Error-Code"] == "400"


async def test_invalid_context_reaches_no_handler_whatever_interceptors_read(
    raw: Any, nats_url: str, handlers: Probe
) -> None:
    """An interceptor may read the payload, or replace the context, before the handler runs."""

    async def read(context: RequestContext, call_next: CallNext) -> Response:
        assert context.payload is not None
        return await call_next(context.replace(token=None))

    async with NatsServiceBuilder(handlers, nats_url).with_interceptor(read).build():
        for invalid in (b'{"x":NaN}', b'{"x":1e999}', b"[]"):
            answer = json.loads((await raw.request(RUN, WITH_CONTEXT % invalid)).data)
            assert answer["error"]["code"] == "INVALID_ARGUMENT"
        assert handlers.seen == []
        assert json.loads((await raw.request(RUN, WITH_CONTEXT % b"{}")).data)["success"]


async def test_large_invalid_request_gets_a_small_reply(ask: Any) -> None:
    """A request with many violations gets a small reply."""
    answer = await ask(RUN, {**GOOD, "command": {"action": list(range(130_000))}})
    assert answer["error"]["code"] == "INVALID_ARGUMENT"
    assert len(str(answer)) < 5000


async def test_last_duplicate_json_member_wins(ask: Any, handlers: Probe) -> None:
    """Of duplicate JSON members the last one counts, in envelope and payload."""
    body = (
        b'{"aggregateId":{"type":"thing","key":"a"},"aggregateId":{"type":"thing","key":"b"},'
        b'"command":{"action":"a","action":"b"}}'
    )
    answer = await ask(RUN, body)
    assert answer["result"] == {"text": "b"}
    assert handlers.seen[0].key == "b"


async def test_unknown_command_has_no_responders(raw: Any, service: Any) -> None:
    """A request for an unknown operation fails immediately with no responders."""
    from nats.errors import NoRespondersError

    with pytest.raises(NoRespondersError):
        await raw.request("probe.command.thing.fly", b"{}")


async def test_request_without_reply_subject_is_dropped(
    raw: Any, client: ProbeClient, handlers: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    """A request without a reply subject is not executed; log and statistics show it."""
    await raw.publish(
        RUN, b'{"aggregateId":{"type":"thing","key":"lost"},"command":{"action":"a"}}'
    )
    await raw.flush()
    await client.run("k", Run(action="after"))
    assert [context.key for context in handlers.seen] == ["k"]
    assert "has no reply subject" in caplog.text
    stats = await client.get_service_stats()
    assert stats.endpoints[0].num_errors == 1


async def test_exception_text_is_not_sent_to_the_caller(
    client: ProbeClient, handlers: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets INTERNAL without the text of the exception; the log contains it."""

    async def leak(key: str, command: Run, context: RequestContext) -> Outcome:
        raise ValueError("password=hunter2")

    handlers.actions["leak"] = leak
    with pytest.raises(InternalError) as error:
        await client.run("k", Run(action="leak"))
    assert "hunter2" not in f"{error.value} {error.value.details}"
    assert "hunter2" in caplog.text
    stats = await client.get_service_stats()
    assert (stats.endpoints[0].num_errors, stats.endpoints[0].last_error) == (1, "INTERNAL")


async def raise_again(servers: Any) -> None:
    """Raise an error of a connection as if it came from here, as programs do that group errors."""
    try:
        await NatsTransport(servers, HIDDEN).connect()
    except ServiceError as error:
        raise error.with_traceback(None) from None


async def use_elsewhere(transport: Any) -> None:
    """Use a projection on another event loop than its own."""
    async with COUNTS.run(transport) as counts:
        await asyncio.to_thread(lambda: asyncio.run(counts.view()))


@pytest.mark.parametrize(
    ("use", "code", "told"),
    [
        (use_elsewhere, 503, "belongs to the event loop"),
        (lambda inner: inner.request("hidden.subject", b"", b"", monotonic() + LIMIT), 503, ""),
        (lambda inner: inner.publish("hidden subject", b""), 500, "hidden subject"),
        (lambda inner: inner.publish("hidden.subject", b"x" * 2_000_000), 429, "2000000 bytes"),
        (lambda inner: NatsTransport(inner.servers, HIDDEN).connect(), 500, "hidden.creds"),
        (lambda inner: raise_again(inner.servers), 500, "hidden.creds"),
    ],
)
async def test_text_of_connections_is_not_sent_to_the_caller(
    client: ProbeClient,
    handlers: Probe,
    caplog: pytest.LogCaptureFixture,
    use: Any,
    code: int,
    told: str,
) -> None:
    """Subjects, servers and files are for the log; the caller gets the code, if it is for it."""

    async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
        used = use(handlers.transport)
        if used is not None:
            await used
        return Outcome(text=key)

    handlers.actions["fail"] = fail
    with pytest.raises(ServiceError) as error:
        await client.run("k", Run(action="fail"))
    assert error.value.number == code
    assert error.value.message == type(error.value).description
    assert error.value.remote
    assert (told or "hidden.subject") in caplog.text


async def test_keys_in_text_of_connections_are_not_logged(
    client: ProbeClient, handlers: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    """The subjects of streams have the keys of aggregates, which logs have not."""

    async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
        subject = f"things.commits.3.thing.{key_token(key)}"
        await handlers.transport.request(subject, b"", b"", monotonic() + LIMIT)
        return Outcome(text=key)

    handlers.actions["fail"] = fail
    for key in ("ann-7", "ann 7"):
        with pytest.raises(UnavailableError):
            await client.run(key, Run(action="fail"))
    assert caplog.text.count("no responders on things.commits.3.thing.KEY") == 2
    assert "ann" not in caplog.text


@pytest.mark.parametrize(
    ("raised", "logged"),
    [
        (PermissionDeniedError, 1),
        (InternalError, 1),
        (UnavailableError, 0),
        (NotFoundError, 0),
        (NotReadyError, 0),
    ],
)
async def test_error_of_a_call_that_is_passed_on_is_logged(
    client: ProbeClient,
    handlers: Probe,
    caplog: pytest.LogCaptureFixture,
    raised: type[ServiceError],
    logged: int,
) -> None:
    """The log says which call it was, but not the text of the error, which may have values."""

    async def call(key: str, command: Run, context: RequestContext) -> Outcome:
        return await client.run(key, Run(action="fail"))

    async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
        raise raised("s3cret")

    handlers.actions |= {"call": call, "fail": fail}
    with pytest.raises(raised):
        await client.run("k", Run(action="call"))
    lines = [each for each in caplog.messages if "passes on" in each]
    assert len(lines) == logged
    assert "s3cret" not in caplog.text
    for line in lines:
        assert f"passes on {raised.code}, the error of a call (" in line
        assert line.endswith(" in run)")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # nothing is closed
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of nats-py
def test_loop_that_is_closed_while_a_handler_runs(
    nats_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The coroutine of the request ends without a reply, which no loop could send."""
    ended = 0

    async def begin() -> list[object]:
        entered = asyncio.Event()

        async def hang(key: str, command: Run, context: RequestContext) -> Outcome:
            nonlocal ended
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended += 1
            return Outcome(text=key)

        handlers = Probe()
        handlers.actions["hang"] = hang
        service = NatsServiceBuilder(handlers, nats_url).build()
        await service.start()
        client = ProbeClient.connect(nats_url, verify="off")
        call = asyncio.create_task(client.run("k", Run(action="hang")))
        await entered.wait()
        return [service, client, call]

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin()).clear()
    loop.close()
    del loop
    gc.collect()
    assert ended == 1
    assert not [each for each in caplog.records if each.name.startswith("weenats")]


async def test_undeclared_service_error_becomes_internal(
    client: ProbeClient, handlers: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that the operation does not declare becomes INTERNAL and is logged."""

    async def stray(key: str, command: Run, context: RequestContext) -> Outcome:
        raise UndeclaredError("from elsewhere")

    handlers.actions["stray"] = stray
    with pytest.raises(InternalError):
        await client.run("k", Run(action="stray"))
    assert "which its contract does not declare" in caplog.text


async def test_canonical_error_keeps_message_and_details(
    client: ProbeClient, handlers: Probe
) -> None:
    """Handlers can raise the canonical error classes; message and details arrive."""

    async def miss(key: str, command: Run, context: RequestContext) -> Outcome:
        raise NotFoundError("no such thing\r\nX: y", details={"hint": "ä"})

    handlers.actions["miss"] = miss
    with pytest.raises(NotFoundError) as error:
        await client.run("k", Run(action="miss"))
    assert (error.value.message, error.value.details) == ("no such thing\r\nX: y", {"hint": "ä"})


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("odd", details={"x": object()}),
        NotFoundError("odd", details={"x": 10**4300}),
        NotFoundError("odd", details=reduce(lambda part, _: {"x": part}, range(191), {})),
        NotReadyError("odd", details={"x": 10**4300}),
        NotFoundError("odd \ud800"),
    ],
    ids=["object", "long integer", "nested", "declared", "surrogate"],
)
async def test_unserializable_error_becomes_internal(
    client: ProbeClient, handlers: Probe, error: ServiceError
) -> None:
    """An error that cannot be serialized, or not be read again, is sent as INTERNAL."""

    async def odd(key: str, command: Run, context: RequestContext) -> Outcome:
        raise error

    handlers.actions["odd"] = odd
    with pytest.raises(InternalError) as raised:
        await client.run("k", Run(action="odd"))
    assert raised.value.remote


@pytest.mark.parametrize(
    "result", [None, "text", {"text": "x"}, Run(action="x"), Outcome.model_construct(text=5)]
)
async def test_result_of_wrong_type_becomes_internal(
    client: ProbeClient, handlers: Probe, caplog: pytest.LogCaptureFixture, result: Any
) -> None:
    """A result that breaks the contract is not sent; the log names the expected type."""

    async def wrong(key: str, command: Run, context: RequestContext) -> Any:
        return result

    handlers.actions["wrong"] = wrong
    with pytest.raises(InternalError):
        await client.run("k", Run(action="wrong"))
    assert "run must return Outcome" in caplog.text


async def test_hanging_handler_is_cancelled_at_the_deadline(
    client: ProbeClient, handlers: Probe, gate: Gate
) -> None:
    """The caller gets DEADLINE_EXCEEDED; the handler is cancelled and its slot is free."""
    handlers.actions["hang"] = gate
    await exceed_deadline(
        lambda timeout: client.run("k", Run(action="hang"), timeout=timeout),
        lambda: handlers.seen,
    )
    await client.run("k", Run(action="next"))
    async with asyncio.timeout(LIMIT):
        while not gate.cancelled:
            await client.run("k", Run(action="next"))


async def test_deadline_reply_does_not_wait_for_the_handler(ask: Any, handlers: Probe) -> None:
    """The reply is sent at the deadline even if the handler ignores its cancellation."""
    released = asyncio.Event()

    async def stubborn(key: str, command: Run, context: RequestContext) -> Outcome:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await released.wait()
        return Outcome(text="late")

    handlers.actions["stubborn"] = stubborn
    answer = await ask(RUN, {**GOOD, "command": {"action": "stubborn"}}, {"wee-timeout": "50"})
    assert answer["error"]["code"] == "DEADLINE_EXCEEDED"
    released.set()


async def test_expired_request_does_not_reach_the_handler(ask: Any, handlers: Probe) -> None:
    """A request whose deadline has passed gets DEADLINE_EXCEEDED."""
    answer = await ask(RUN, GOOD, {"Wee-Timeout": "0"})
    assert answer["error"]["code"] == "DEADLINE_EXCEEDED"
    assert handlers.seen == []


@pytest.mark.parametrize("timeout", ["soon", "1.5", "", "1e3", "9" * 40, "٣"])
async def test_malformed_timeout_header_is_rejected(ask: Any, timeout: str) -> None:
    """A malformed Wee-Timeout is INVALID_ARGUMENT, not ignored."""
    answer = await ask(RUN, GOOD, {"Wee-Timeout": timeout})
    assert answer["error"]["code"] == "INVALID_ARGUMENT"


async def test_cancelled_caller_gets_cancelled_error(
    client: ProbeClient, handlers: Probe, gate: Gate
) -> None:
    """asyncio.CancelledError at the caller is never replaced by another error."""
    handlers.actions["hang"] = gate
    call = asyncio.create_task(client.run("k", Run(action="hang")))
    await gate.entered.acquire()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    gate.opened.set()


async def test_full_queue_rejects_calls_immediately(nats_url: str, gate: Gate) -> None:
    """The default queue holds ten times max_concurrency; further calls are rejected."""
    builder = NatsServiceBuilder(Probe(hang=gate), nats_url).with_queue_group(
        "probe", max_concurrency=2
    )
    async with builder.build(), ProbeClient.connect(nats_url, timeout=20) as client:
        calls = [asyncio.create_task(client.run("k", Run(action="hang"))) for _ in range(22)]
        await gate.entered.acquire()
        await gate.entered.acquire()
        with pytest.raises(ResourceExhaustedError):
            await client.run("k", Run(action="hang"))
        assert gate.entered.locked()
        gate.opened.set()
        assert len(await asyncio.gather(*calls)) == 22


async def test_max_queue_and_max_queue_time(nats_url: str, gate: Gate) -> None:
    """max_queue limits the number of waiting calls, max_queue_time their waiting time."""
    hang = Run(action="hang")
    builder = NatsServiceBuilder(Probe(hang=gate), nats_url)
    async with ProbeClient.connect(nats_url, timeout=20) as client:
        async with builder.with_queue_group("probe", 1, max_queue=0).build():
            call = asyncio.create_task(client.run("k", hang))
            await gate.entered.acquire()
            with pytest.raises(ResourceExhaustedError, match="queue is full"):
                await client.run("k", hang)
            gate.opened.set()
            await call
        gate.opened.clear()
        async with builder.with_queue_group("probe", 1, max_queue_time=0.05).build():
            call = asyncio.create_task(client.run("k", hang))
            await gate.entered.acquire()
            with pytest.raises(ResourceExhaustedError, match="waited too long") as error:
                await client.run("k", hang)
            assert error.value.remote
            gate.opened.set()
            await call


async def test_handler_can_call_its_own_operation(client: ProbeClient, handlers: Probe) -> None:
    """A handler can call its own operation: requests do not wait for each other."""

    async def again(key: str, command: Run, context: RequestContext) -> Outcome:
        return await client.run(key, Run(action="inner"))

    handlers.actions["again"] = again
    assert (await client.run("k", Run(action="again"))).text == "inner"


async def test_oversized_reply_becomes_resource_exhausted(
    client: ProbeClient, handlers: Probe
) -> None:
    """The caller of an oversized reply gets RESOURCE_EXHAUSTED; the connections stay open."""

    async def huge(key: str, command: Run, context: RequestContext) -> Outcome:
        return Outcome(text="x" * 1_100_000)

    async def huge_error(key: str, command: Run, context: RequestContext) -> Outcome:
        raise NotFoundError("x" * 1_100_000)

    handlers.actions |= {"huge": huge, "huge-error": huge_error}
    for action in ("huge", "huge-error"):
        with pytest.raises(ResourceExhaustedError, match="carries at most 1048576") as error:
            await client.run("k", Run(action=action))
        assert error.value.remote
    assert (await client.run("k", Run(action="on"))).text == "on"


async def test_oversized_request_is_not_sent(client: ProbeClient) -> None:
    """A request above the server's limit raises MessageTooLargeError; the connection stays."""
    with pytest.raises(MessageTooLargeError):
        await client.run("k", Run(action="x" * 1_048_600))
    assert (await client.run("k", Run(action="on"))).text == "on"


async def test_replies_of_other_subscribers_are_ignored(
    raw: Any, nats_url: str, client: ProbeClient
) -> None:
    """A reply of another subscriber of the subject, such as an audit stream, is ignored."""
    import nats

    async def acknowledge(message: Any) -> None:
        await raw.publish(message.reply, b'{"stream":"AUDIT","seq":1}')

    auditor = await nats.connect(nats_url)
    await auditor.subscribe("probe.>", cb=acknowledge)
    await auditor.flush()
    await auditor.flush()
    assert {(await client.run("k", Run(action="a"))).text for _ in range(50)} == {"a"}
    await auditor.close()


async def test_jetstream_acknowledgements_are_ignored(raw: Any, client: ProbeClient) -> None:
    """Callers get their replies although a JetStream stream acknowledges each request."""
    stream = raw.jetstream()
    await stream.add_stream(name="PROBE", subjects=["probe.command.>"])
    try:
        assert (await client.run("k", Run(action="a"))).text == "a"
    finally:
        await stream.delete_stream("PROBE")


async def test_invalid_reply_reports_violations(raw: Any, nats_url: str) -> None:
    """A reply that breaks the contract raises InternalError immediately, not a timeout."""

    async def nonsense(message: Any) -> None:
        await raw.publish(message.reply, b'{"success":true,"result":{"text":5},"duration":1}')

    await raw.subscribe(RUN, cb=nonsense)
    await raw.flush()
    await raw.flush()
    async with ProbeClient.connect(nats_url) as client:
        with pytest.raises(InternalError, match="breaks the contract") as error:
            await client.run("k", Run(action="a"))
    assert error.value.details["violations"][0]["pointer"] == "/result/text"
    assert not error.value.remote


async def test_builder_rejects_invalid_settings_immediately() -> None:
    """Each with_* method validates its arguments and returns a new builder."""
    builder = NatsServiceBuilder(Probe())
    for name in ("", "Workers", "a b", "a.b", "a*", "-a", "a\n", "x" * 200):
        with pytest.raises(ValueError, match="queue group"):
            builder.with_queue_group(name)
    for limit in (0, -1, 1001, True):
        with pytest.raises(ValueError, match="from 1 to 1000"):
            builder.with_queue_group("workers", max_concurrency=limit)
    for places in (-1, 100_001, 1.5, True):
        with pytest.raises(ValueError, match="max_queue is from 0 to 100000"):
            builder.with_queue_group("workers", max_queue=places)  # type: ignore[arg-type]
    for age in (0, -1, float("nan"), "5"):
        with pytest.raises(InvalidArgumentError, match="max_queue_time"):
            builder.with_queue_group("workers", max_queue_time=age)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="an async function, not str"):
        builder.with_interceptor("no")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError):
        builder.with_drain_timeout(0)
    assert builder.with_queue_group("workers") is not builder


async def test_starting_without_a_server_fails() -> None:
    """Starting without NATS raises UnavailableError in bounded time."""
    from weenats import ConnectionOptions

    options = ConnectionOptions(connect_timeout=0.2)
    service = NatsServiceBuilder(Probe(), "nats://127.0.0.1:1", connection=options).build()
    with pytest.raises(UnavailableError):
        await service.start()
    with pytest.raises(RuntimeError, match="started only once"):
        await service.start()


async def test_logs_contain_no_token(
    client: ProbeClient, handlers: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    """A token appears in no log and no repr, whatever fails."""
    caplog.set_level(logging.DEBUG)

    async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
        raise RuntimeError(repr(context))

    handlers.actions["fail"] = fail
    with pytest.raises(InternalError):
        await client.run("k", Run(action="fail"), token="eyJ.secret.token")
    assert "eyJ" not in caplog.text


async def test_service_rejects_unvalidated_payload(client: ProbeClient, handlers: Probe) -> None:
    """The service rejects a payload that its client constructed without validation."""
    with pytest.raises(InvalidArgumentError, match="payload of run") as error:
        await client.run("k", Run.model_construct(action=5))
    assert error.value.remote
    assert handlers.seen == []

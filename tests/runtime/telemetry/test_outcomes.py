"""Every outcome of a request has its status on one span of each side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Final

import nats
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from testkit.probe import (
    RUN,
    MissingDetails,
    NotReadyError,
    Outcome,
    PartMissingError,
    Probe,
    ProbeClient,
    Run,
    UndeclaredError,
)
from testkit.telemetry import EVERYTHING, Recording, calling, probe_token, probe_validator, serving
from testkit.waiting import exceed_deadline, until
from weenats import (
    AuthRequirement,
    Endpoint,
    NatsServiceBuilder,
    RequestContext,
    Response,
    ServiceError,
)
from weenats.telemetry import TelemetryManager, TelemetrySettings
from weenats.testing import NatsServer

SUBJECT: Final = "probe.command.thing.run"
SECRET: Final = "hunter2"  # what handlers and callers say, which no span repeats
GOOD: Final = {"aggregateId": {"type": "thing", "key": "k"}, "command": {"action": "go"}}


class GuardedProbe(Probe):
    """A probe whose command requires a scope."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the one operation."""
        guarded = replace(RUN, auth=AuthRequirement(required=True, scopes=("probe:run",)))
        return (Endpoint.command(guarded, self.run),)


class BlockingAction:
    """An action that waits until the test opens it."""

    def __init__(self) -> None:
        self.entered = asyncio.Semaphore(0)
        self.opened = asyncio.Event()

    async def __call__(self, key: str, command: Run, context: RequestContext) -> Outcome:
        """Wait until it is opened."""
        self.entered.release()
        await self.opened.wait()
        return Outcome(text=key)


async def part_missing(*_: Any) -> Outcome:
    """Raise a declared error with details."""
    raise PartMissingError(SECRET, details=MissingDetails(part=SECRET))


async def not_ready(*_: Any) -> Outcome:
    """Raise a declared error."""
    raise NotReadyError(SECRET)


async def undeclared(*_: Any) -> Outcome:
    """Raise an error of another contract."""
    raise UndeclaredError(SECRET)


async def crash(*_: Any) -> Outcome:
    """Raise ValueError."""
    raise ValueError(SECRET)


async def give_up(*_: Any) -> Outcome:
    """Raise CancelledError."""
    raise asyncio.CancelledError(SECRET)


async def too_large(*_: Any) -> Outcome:
    """Return a result above the maximum payload."""
    return Outcome(text="x" * 1_100_000)


async def wrong_result(*_: Any) -> Any:
    """Return a result that breaks the contract."""
    return SECRET


ACTIONS: Final = {
    action.__name__: action
    for action in (part_missing, not_ready, undeclared, crash, give_up, too_large, wrong_result)
}


def assert_outcome(span: ReadableSpan, code: str, label: str | None = None) -> None:
    """Check status and attributes of a span, without any secret text."""
    attributes = span.attributes or {}
    assert attributes["rpc.response.status_code"] == code
    if code == "OK":
        assert span.status.status_code is StatusCode.UNSET
        assert "error.type" not in attributes
    else:
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == (label or code)
        assert attributes["error.type"] == code
    assert SECRET not in span.to_json()


def calls_by_code(observed: Recording, side: str) -> dict[str, int]:
    """Return the number of calls of a side by code."""
    counts: dict[str, int] = {}
    for point in observed.points(f"rpc.{side}.call.duration"):
        code = point.attributes["rpc.response.status_code"]
        assert point.attributes.get("error.type") == (None if code == "OK" else code)
        counts[code] = counts.get(code, 0) + point.count
    return counts


@pytest.fixture
async def client(nats_url: str, observed: Recording, handlers: Probe) -> AsyncIterator[ProbeClient]:
    """A client of a running probe, both with telemetry."""
    handlers.actions.update(ACTIONS)
    async with serving(nats_url, handlers), calling(nats_url) as connected:
        yield connected


@pytest.mark.parametrize(
    ("action", "code", "label"),
    [
        ("go", "OK", None),
        ("part_missing", "NOT_FOUND", "NOT_FOUND part-missing"),
        ("not_ready", "FAILED_PRECONDITION", "FAILED_PRECONDITION not-ready"),
        ("undeclared", "INTERNAL", None),
        ("crash", "INTERNAL", None),
        ("wrong_result", "INTERNAL", None),
        ("give_up", "INTERNAL", None),
        ("too_large", "RESOURCE_EXHAUSTED", None),
    ],
)
async def test_handler_outcome_is_on_both_spans(
    client: ProbeClient, observed: Recording, action: str, code: str, label: str | None
) -> None:
    """Client and server spans show the same outcome."""
    call = client.run("k", Run(action=action))
    if code == "OK":
        await call
    else:
        with pytest.raises(ServiceError) as raised:
            await call
        assert raised.value.code.value == code
    assert_outcome(observed.one(SpanKind.SERVER), code, label)
    assert_outcome(observed.one(SpanKind.CLIENT), code, label)
    assert calls_by_code(observed, "server") == calls_by_code(observed, "client") == {code: 1}


@pytest.mark.parametrize(
    ("token", "code", "status", "event"),
    [
        (None, "UNAUTHENTICATED", "token_not_provided", "authentication.failed"),
        ("broken.token.text", "UNAUTHENTICATED", "failure", "authentication.failed"),
        (probe_token(scope="probe:other"), "PERMISSION_DENIED", "success", "authorization.failed"),
        (probe_token(scope="probe:run"), "OK", "success", None),
    ],
)
async def test_rejected_caller_has_auth_status_and_event(
    nats_url: str, observed: Recording, token: str | None, code: str, status: str, event: str | None
) -> None:
    """The span has status and event, and the principal if it is known."""
    options: Any = {} if token is None else {"token": token}
    async with (
        serving(nats_url, GuardedProbe(), auth=probe_validator()),
        calling(nats_url) as client,
    ):
        with suppress(ServiceError):
            await client.run("k", Run(action="go"), **options)
    server = observed.one(SpanKind.SERVER)
    assert_outcome(server, code)
    assert_outcome(observed.one(SpanKind.CLIENT), code)
    attributes = server.attributes or {}
    assert attributes["auth.message.status"] == status
    assert attributes.get("auth.message.method") == (None if token is None else "jwt")
    assert attributes.get("auth.message.principal_id") == ("ada" if status == "success" else None)
    assert [each.name for each in server.events] == ([] if event is None else [event])


async def test_authentication_after_another_interceptor_is_traced(
    nats_url: str, observed: Recording
) -> None:
    """The span has already started when authentication adds its attributes."""

    async def audit(context: RequestContext, call_next: Any) -> Any:
        assert context.span is not None
        return await call_next(context.replace(key="another"))

    builder = NatsServiceBuilder(GuardedProbe(), nats_url).with_interceptor(audit)
    builder = builder.with_auth(validator=probe_validator()).with_telemetry(sampling=EVERYTHING)
    async with builder.build(), calling(nats_url) as client:
        await client.run("k", Run(action="go"), token=probe_token(scope="probe:run"))
        for token in ("broken.token.text", probe_token(scope="")):
            with pytest.raises(ServiceError):
                await client.run("k", Run(action="go"), token=token)
    good, bad, poor = observed.of(SpanKind.SERVER)
    told = [
        (
            (span.attributes or {})["auth.message.status"],
            (span.attributes or {}).get("auth.message.principal_id"),
            [event.name for event in span.events],
        )
        for span in (good, bad, poor)
    ]
    assert told == [
        ("success", "ada", []),
        ("failure", None, ["authentication.failed"]),
        ("success", "ada", ["authorization.failed"]),
    ]


async def test_rejection_before_authentication_has_no_auth_status(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """A token that was not validated has no status."""

    async def refuse(context: RequestContext, call_next: Any) -> Any:
        raise NotReadyError

    builder = NatsServiceBuilder(handlers, nats_url).with_interceptor(refuse)
    builder = builder.with_auth(validator=probe_validator()).with_telemetry(sampling=EVERYTHING)
    async with builder.build(), calling(nats_url) as client:
        with pytest.raises(NotReadyError):
            await client.run("k", Run(action="go"), token=probe_token())
    attributes = observed.one(SpanKind.SERVER).attributes or {}
    assert not [name for name in attributes if name.startswith("auth.message")]


async def test_exceeded_deadline_is_on_both_spans_once(
    client: ProbeClient, observed: Recording, handlers: Probe
) -> None:
    """The handler is cancelled, and whatever it does then changes nothing."""
    begun = asyncio.Event()

    async def stubborn(key: str, command: Run, context: RequestContext) -> Outcome:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Outcome(text="all is well")
        return Outcome(text="never")

    handlers.actions["stubborn"] = stubborn
    await exceed_deadline(
        lambda timeout: client.run("k", Run(action="stubborn"), timeout=timeout), begun.is_set
    )
    await until(lambda: observed.of(SpanKind.SERVER))
    assert_outcome(observed.of(SpanKind.CLIENT)[-1], "DEADLINE_EXCEEDED")
    server = observed.of(SpanKind.SERVER)[-1]
    assert len(observed.of(SpanKind.SERVER)) <= len(observed.of(SpanKind.CLIENT))
    # The service's clock and the caller's word that it gave up arrive within the same millisecond.
    code = str((server.attributes or {})["rpc.response.status_code"])
    assert code in {"DEADLINE_EXCEEDED", "CANCELLED"}
    assert_outcome(server, code)


async def test_cancelled_call_is_on_the_client_span(
    client: ProbeClient, observed: Recording, handlers: Probe
) -> None:
    """A cancelled call is CANCELLED on the client; the service finishes normally."""
    held = handlers.actions["hold"] = BlockingAction()
    call = asyncio.create_task(client.run("k", Run(action="hold")))
    await held.entered.acquire()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert_outcome(observed.one(SpanKind.CLIENT), "CANCELLED")
    held.opened.set()
    await until(lambda: observed.of(SpanKind.SERVER))
    assert_outcome(observed.one(SpanKind.SERVER), "OK")


async def test_full_queue_is_on_both_spans(
    client: ProbeClient, observed: Recording, handlers: Probe
) -> None:
    """The request beyond the queue is RESOURCE_EXHAUSTED, and the others succeed."""
    held = handlers.actions["hold"] = BlockingAction()
    calls = [asyncio.create_task(client.run("k", Run(action="hold"))) for _ in range(23)]
    await until(lambda: observed.of(SpanKind.CLIENT))
    assert_outcome(observed.one(SpanKind.CLIENT), "RESOURCE_EXHAUSTED")
    assert_outcome(observed.one(SpanKind.SERVER), "RESOURCE_EXHAUSTED")
    held.opened.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert calls_by_code(observed, "server") == {"OK": 22, "RESOURCE_EXHAUSTED": 1}
    assert len(observed.of(SpanKind.SERVER)) == 23


async def test_missing_responder_is_on_the_client_span(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """A call without responders has a CLIENT span with UNAVAILABLE."""
    async with calling(nats_url) as client:
        with pytest.raises(ServiceError):
            await client.run("k", Run(action="go"))
    assert_outcome(observed.one(SpanKind.CLIENT), "UNAVAILABLE")
    assert len(observed.spans) == 1


async def test_lost_connection_is_on_the_client_span(
    own_nats_server: NatsServer, observed: Recording, handlers: Probe
) -> None:
    """The client span is UNAVAILABLE although the service has answered."""
    held = handlers.actions["hold"] = BlockingAction()
    url = own_nats_server.url
    async with serving(url, handlers), calling(url) as client:
        call = asyncio.create_task(client.run("k", Run(action="hold"), timeout=30))
        await held.entered.acquire()
        own_nats_server.stop()
        with pytest.raises(ServiceError):
            await call
        assert_outcome(observed.one(SpanKind.CLIENT), "UNAVAILABLE")
        held.opened.set()
        await until(lambda: observed.of(SpanKind.SERVER))
    assert_outcome(observed.one(SpanKind.SERVER), "OK")


async def test_expired_deadline_before_sending_has_a_client_span(
    client: ProbeClient, observed: Recording
) -> None:
    """A call that is never sent has a CLIENT span and no SERVER span."""
    with pytest.raises(ServiceError):
        await client.run("k", Run(action="go"), timeout=1e-9)
    assert_outcome(observed.one(SpanKind.CLIENT), "DEADLINE_EXCEEDED")
    assert not observed.of(SpanKind.SERVER)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"not json " + SECRET.encode(), {}),
        (b"\xff\xfe", {}),
        (b"", {}),
        (json.dumps({**GOOD, "command": {"action": 5, SECRET: SECRET}}).encode(), {}),
        (json.dumps(GOOD).encode(), {"Wee-Timeout": SECRET}),
    ],
)
async def test_invalid_request_has_one_server_span(
    nats_url: str, observed: Recording, handlers: Probe, body: bytes, headers: dict[str, str]
) -> None:
    """Invalid JSON, payload or timeout is INVALID_ARGUMENT, below the caller's span."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with serving(nats_url, handlers), _raw_requests(nats_url) as ask:
        reply = await ask(SUBJECT, body, {**headers, "traceparent": parent})
    assert reply["error"]["code"] == "INVALID_ARGUMENT"
    server = observed.one(SpanKind.SERVER)
    assert_outcome(server, "INVALID_ARGUMENT")
    assert server.parent is not None
    assert f"{server.parent.span_id:016x}" == "b7ad6b7169203331"
    assert server.context.trace_id == server.parent.trace_id
    assert calls_by_code(observed, "server") == {"INVALID_ARGUMENT": 1}


async def test_request_without_a_reply_subject_has_a_server_span(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """The request is dropped, and its span has INVALID_ARGUMENT."""
    async with serving(nats_url, handlers), calling(nats_url) as client:
        client.transport.publish(SUBJECT, json.dumps(GOOD).encode())
        await client.transport.fence()
        await until(lambda: observed.of(SpanKind.SERVER))
    assert_outcome(observed.one(SpanKind.SERVER), "INVALID_ARGUMENT")


async def test_aborted_requests_are_unavailable_on_their_spans(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """Requests running when the drain starts have an event; aborted ones are UNAVAILABLE."""
    held = handlers.actions["hold"] = BlockingAction()
    async with calling(nats_url) as client:
        async with serving(nats_url, handlers) as service:
            calls = [asyncio.create_task(client.run("k", Run(action="hold"))) for _ in range(3)]
            for _ in range(2):
                await held.entered.acquire()
            await until(lambda: service.gauges()["weenats.server.requests.queued"] == 1)
            stopping = asyncio.create_task(service.stop())
            await until(lambda: service.gauges()["weenats.server.draining"] == 1)
            service.abort()
            await stopping
        errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error).__name__ for error in errors] == ["UnavailableError"] * 3
    served = observed.of(SpanKind.SERVER)
    for span in served:
        assert_outcome(span, "UNAVAILABLE")
    events = sorted([event.name for event in span.events] for span in served)
    assert events == [[], ["drain.started"], ["drain.started"]]


async def test_request_finished_while_draining_has_an_event(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """The span has the drain event and no error."""
    held = handlers.actions["hold"] = BlockingAction()
    async with calling(nats_url) as client:
        async with serving(nats_url, handlers) as service:
            call = asyncio.create_task(client.run("k", Run(action="hold")))
            await held.entered.acquire()
            stopping = asyncio.create_task(service.stop())
            await until(lambda: service.gauges()["weenats.server.draining"] == 1)
            held.opened.set()
            await stopping
        await call
    server = observed.one(SpanKind.SERVER)
    assert_outcome(server, "OK")
    assert [event.name for event in server.events] == ["drain.started"]


@pytest.mark.parametrize("error", [SystemExit(SECRET), KeyboardInterrupt(SECRET)])
async def test_process_exit_during_a_call_ends_its_span(
    observed: Recording, error: BaseException
) -> None:
    """SystemExit and KeyboardInterrupt end the span of the call."""
    from testkit.contexts import make_context
    from weenats.telemetry.client import ClientTelemetry
    from weenats.testing import MemoryTransport

    async def send(context: RequestContext) -> Response:
        raise error

    settings = TelemetrySettings(sampling=EVERYTHING)
    telemetry = ClientTelemetry(TelemetryManager(settings), MemoryTransport())
    with pytest.raises(type(error)):
        await telemetry.interceptor(RUN)(make_context(), send)
    assert_outcome(observed.one(SpanKind.CLIENT), "INTERNAL")


@asynccontextmanager
async def _raw_requests(url: str) -> AsyncIterator[Callable[..., Awaitable[dict[str, Any]]]]:
    """Send arbitrary bytes and headers, like a client in another language."""
    connection = await nats.connect(url)

    async def ask(subject: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        reply = await connection.request(subject, body, timeout=30, headers=headers)
        answer: dict[str, Any] = json.loads(reply.data)
        return answer

    try:
        yield ask
    finally:
        await connection.close()

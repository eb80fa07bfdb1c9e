"""Sampling: a share of new traces, and the decision of the parent for others."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextvars import copy_context
from math import sqrt
from typing import Any, Final

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

from testkit.contexts import answered, make_context, make_served_request
from testkit.probe import FIND, GET, HAPPENED, RUN, Outcome, Probe, ProbeClient, Run
from testkit.telemetry import NOTHING, Recording, serving
from weenats.context import CURRENT, MessageContext, RequestContext, Response
from weenats.contract import AnyOperation
from weenats.errors import ResourceExhaustedError
from weenats.protocol.headers import Headers
from weenats.protocol.subjects import Kind
from weenats.telemetry import TelemetryManager, TelemetrySettings
from weenats.telemetry.client import ClientTelemetry
from weenats.telemetry.messaging import EventTelemetry
from weenats.telemetry.propagation import extract_trace_context, header_lines
from weenats.telemetry.server import ServedOperation
from weenats.testing import MemoryTransport
from weenats.transport import Delivery

ROOTS: Final = 10_000
SHARES: Final = {"commands": 0.9, "queries": 0.5, "events": 0.1}
Act = Callable[[TelemetryManager], None]


def serve(operation: AnyOperation, block: bytes = b"") -> Act:
    """Return an action that serves one request."""

    def act(manager: TelemetryManager) -> None:
        served = ServedOperation(manager, operation, "group", {})
        job, context = make_served_request(operation, block)
        copy_context().run(served, context, answered).close()  # type: ignore[attr-defined]
        job.notify(context, None)

    return act


def reject(operation: AnyOperation, block: bytes = b"") -> Act:
    """Return an action that rejects one request before it is read."""

    def act(manager: TelemetryManager) -> None:
        delivery = Delivery(operation.subject, "reply", b"", block)
        served = ServedOperation(manager, operation, "group", {})
        served.refused(delivery, 0, ResourceExhaustedError())

    return act


def call(operation: AnyOperation) -> Act:
    """Return an action that makes one call."""

    async def send(context: RequestContext) -> Response:
        return Response(None)

    def act(manager: TelemetryManager) -> None:
        intercept: Any = ClientTelemetry(manager, MemoryTransport()).interceptor(operation)
        with pytest.raises(StopIteration):
            intercept(make_context(operation=operation), send).send(None)

    return act


def publish(manager: TelemetryManager) -> None:
    """Publish one event."""
    with EventTelemetry.of_publisher(manager, HAPPENED).publishing(make_context(), 0):
        pass


def consume(block: bytes = b"") -> Act:
    """Return an action that consumes one event."""

    def act(manager: TelemetryManager) -> None:
        context = MessageContext(message_id="m", correlation_id="c", headers=Headers(block))
        telemetry = EventTelemetry(manager, HAPPENED, "process", "group")
        with copy_context().run(telemetry.processing, context):
            pass

    return act


ACTS: Final[list[tuple[Act, str]]] = [
    (serve(RUN), "commands"),
    (serve(GET), "queries"),
    (reject(RUN), "commands"),
    (reject(FIND), "queries"),
    (call(RUN), "commands"),
    (call(GET), "queries"),
    (publish, "events"),
    (consume(), "events"),
]


@pytest.fixture(autouse=True)
def fixed_seed() -> Iterator[None]:
    """Seed the random numbers, so that the 3 sigma bounds always hold."""
    state = random.getstate()
    random.seed(7)
    yield
    random.setstate(state)


@pytest.fixture
def manager(observed: Recording) -> TelemetryManager:
    """A telemetry manager with different shares for each kind."""
    return TelemetryManager(TelemetrySettings(sampling=SHARES))


@pytest.mark.parametrize(("kind", "share"), [*zip(Kind, SHARES.values(), strict=True)])
def test_share_of_sampled_roots_matches_settings(
    manager: TelemetryManager, kind: Kind, share: float
) -> None:
    """Of 10,000 root traces the configured share is sampled, within 3 sigma."""
    recorded = sum(manager.unsampled(Context(), kind) is None for _ in range(ROOTS))
    assert abs(recorded - ROOTS * share) <= 3 * sqrt(ROOTS * share * (1 - share))


@pytest.mark.parametrize(("act", "kind"), ACTS)
def test_each_message_is_sampled_once(
    manager: TelemetryManager, observed: Recording, act: Act, kind: str
) -> None:
    """Of 1,000 requests, calls or events the configured share has a span, within 3 sigma."""
    for _ in range(1000):
        act(manager)
    share = SHARES[kind]
    assert abs(len(observed.spans) - 1000 * share) <= 3 * sqrt(1000 * share * (1 - share))


@pytest.mark.parametrize("act", [act for act, _ in ACTS])
@pytest.mark.parametrize("share", [0, 1])
def test_sampling_share_of_zero_or_one_is_exact(
    observed: Recording, act: Act, share: float
) -> None:
    """A share of 0 records nothing, 1 records everything."""
    sampling = dict.fromkeys(SHARES, share)
    manager = TelemetryManager(TelemetrySettings(sampling=sampling))
    for _ in range(100):
        act(manager)
    assert len(observed.spans) == 100 * share


def block(flags: str, *more: str) -> bytes:
    """Return headers with a trace context."""
    parent = f"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"
    lines = ["NATS/1.0", "Wee-Timeout: 5000", parent, *more, "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("more", [[], ["tracestate: a=1", "baggage: b=2"]])
@pytest.mark.parametrize("make", [lambda b: serve(GET, b), lambda b: reject(GET, b), consume])
@pytest.mark.parametrize(
    ("flags", "recorded"), [("01", 50), ("03", 50), ("ff", 50), ("00", 0), ("02", 0), ("fe", 0)]
)
def test_remote_parent_decides_sampling(
    observed: Recording, make: Callable[[bytes], Act], flags: str, recorded: int, more: list[str]
) -> None:
    """The sampled flag of a remote parent decides; other flags are ignored."""
    share = 0 if recorded else 1
    manager = TelemetryManager(TelemetrySettings(sampling=dict.fromkeys(SHARES, share)))
    for _ in range(50):
        make(block(flags, *more))(manager)
    assert len(observed.spans) == recorded
    for span in observed.spans:
        assert span.parent is not None
        assert f"{span.parent.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
        assert span.parent.is_remote


@pytest.mark.parametrize("flags", [TraceFlags.DEFAULT, TraceFlags.SAMPLED])
@pytest.mark.parametrize("act", [call(RUN), publish])
def test_local_parent_decides_sampling(observed: Recording, act: Act, flags: int) -> None:
    """A call within a span of the application is its child, or unsampled like it."""
    sampling = NOTHING if flags else dict.fromkeys(SHARES, 1.0)
    manager = TelemetryManager(TelemetrySettings(sampling=sampling))
    above = NonRecordingSpan(SpanContext(5, 6, is_remote=False, trace_flags=TraceFlags(flags)))
    with trace.use_span(above):
        act(manager)
    assert [span.parent and span.parent.span_id for span in observed.spans] == [6] * flags


@pytest.mark.parametrize("act", [call(RUN), publish])
def test_calls_of_an_untraced_service_continue_the_trace(observed: Recording, act: Act) -> None:
    """Calls and events are children of the remote span, although no span is current."""
    manager = TelemetryManager(TelemetrySettings(sampling=NOTHING))
    served = make_context(side="server", headers=Headers(block("01")))
    reset = CURRENT.set(served)
    try:
        act(manager)
    finally:
        CURRENT.reset(reset)
    (span,) = observed.spans
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"


def test_spans_in_an_unsampled_trace_are_not_recorded(observed: Recording) -> None:
    """Child spans are not recorded, but share the trace id."""
    manager = TelemetryManager(TelemetrySettings(sampling=NOTHING))
    served = ServedOperation(manager, RUN, "group", {})
    _, context = make_served_request()

    def handle() -> list[SpanContext]:
        served(context, answered).close()  # type: ignore[attr-defined]
        tracer = trace.get_tracer("handler")
        with tracer.start_as_current_span("outer") as outer, manager.with_span("inner") as inner:
            assert not outer.is_recording()
            return [
                trace.get_current_span(context.otel_context).get_span_context(),
                outer.get_span_context(),
                inner.get_span_context(),
                extract_trace_context(manager.create_trace_headers())[
                    _span_key()
                ].get_span_context(),
            ]

    contexts = copy_context().run(handle)
    assert len({each.trace_id for each in contexts}) == 1
    assert {each.trace_flags for each in contexts} == {0}
    assert all(each.is_valid for each in contexts)
    assert context.span is None
    assert not observed.spans


@pytest.mark.parametrize("more", [[], ["tracestate: a=1"]])
@pytest.mark.parametrize("flags", ["00", "02"])
def test_unsampled_message_has_a_parent_id_of_its_own(
    observed: Recording, flags: str, more: list[str]
) -> None:
    """Request, event and call each get a new parent id; trace id, flags and state stay."""
    manager = TelemetryManager(TelemetrySettings(sampling=dict.fromkeys(SHARES, 1.0)))

    def sent() -> list[str]:
        received = extract_trace_context(Headers(block(flags, *more)))
        served = manager.unsampled(received, Kind.COMMAND)
        assert served is not None
        within = set_span_in_context(served, received)
        nested = manager.unsampled(within, Kind.QUERY)
        assert nested is not None
        assert nested.get_span_context() is nested.get_span_context()
        lines = [header_lines(span.get_span_context(), within) for span in (served, nested, served)]
        headers = [Headers(b"NATS/1.0\r\n" + each + b"\r\n") for each in lines]
        assert {each.get("tracestate") for each in headers} == {"a=1" if more else None}
        return [each["traceparent"] for each in headers]

    first, nested, again = sent()
    assert first == again
    ids = {each.split("-")[2] for each in (first, nested, *sent())}
    assert len(ids) == 4
    assert "b7ad6b7169203331" not in ids
    assert {(first[:35], first[-2:]), (nested[:35], nested[-2:])} == {
        ("00-0af7651916cd43dd8448eb211c80319c", flags)
    }
    assert not observed.spans


async def test_callee_of_an_unsampled_request_sees_another_parent(
    nats_url: str, observed: Recording
) -> None:
    """A nested call in an unsampled trace does not name the caller's parent as its own."""
    handlers = Probe()
    async with serving(nats_url, handlers), ProbeClient.connect(nats_url) as client:

        async def nested(key: str, command: Run, context: RequestContext) -> Outcome:
            return Outcome(text=(await client.get(key)).state.text)

        handlers.actions["nested"] = nested
        above = NonRecordingSpan(
            SpanContext(5, 6, is_remote=False, trace_flags=TraceFlags(TraceFlags.DEFAULT))
        )
        with trace.use_span(above):
            await client.with_telemetry().run("k", Run(action="nested"))
    run, get = (each.headers["traceparent"].split("-") for each in handlers.seen)
    assert run[1] == get[1] == f"{5:032x}"
    assert len({f"{6:016x}", run[2], get[2]}) == 3
    assert not observed.spans


def _span_key() -> str:
    """Return the key of the span in a context."""
    (key,) = set_span_in_context(trace.INVALID_SPAN, Context())
    return key

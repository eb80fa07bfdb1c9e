"""Spans that are put together at their end are the ones that the SDK would have made."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from weenats.telemetry.late_span import LateSpan, LateTracer

VALUES = (
    st.text(max_size=5)
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.lists(st.text(max_size=3), max_size=2)
)
ATTRIBUTES = st.dictionaries(st.text(min_size=1, max_size=3), VALUES, max_size=4)
STEPS = st.lists(
    st.tuples(st.just("set_attribute"), st.text(min_size=1, max_size=3), VALUES)
    | st.tuples(st.just("set_attributes"), ATTRIBUTES)
    | st.tuples(st.just("add_event"), st.text(max_size=3), ATTRIBUTES, st.integers(0, 9))
    | st.tuples(st.just("update_name"), st.text(max_size=3))
    | st.tuples(st.just("set_status"), st.just(Status(StatusCode.ERROR, "NOT_FOUND")))
    | st.tuples(st.just("end"), st.integers(10, 20)),
    max_size=6,
)
PARENTS = st.none() | st.sampled_from([0, 1, 2, 3])


def setup(**settings: Any) -> tuple[TracerProvider, InMemorySpanExporter]:
    """Return a provider that keeps its spans."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(**settings)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def late(provider: TracerProvider) -> LateTracer:
    """Return ours for the tracer of a provider."""
    tracer = LateTracer.of(provider, provider.get_tracer("weenats", "1"))
    assert tracer is not None
    assert tracer.fits
    return tracer


def below(flags: int | None) -> Context:
    """Return a context with a remote parent of these flags, or none."""
    if flags is None:
        return Context()
    parent = SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(flags))
    return set_span_in_context(NonRecordingSpan(parent), Context())


def told(exporter: InMemorySpanExporter) -> list[Any]:
    """Return the spans as JSON, without what is drawn by chance."""
    spans = [json.loads(span.to_json()) for span in exporter.get_finished_spans()]
    for span in spans:
        del span["context"]
    return spans


def play(span: Span, steps: list[tuple[Any, ...]]) -> None:
    """Do to a span what the test drew, then end it."""
    for name, *arguments in steps:
        getattr(span, name)(*arguments)
    span.end(99)


@given(ATTRIBUTES, STEPS, PARENTS)
def test_they_are_what_the_sdk_makes(
    attributes: dict[str, Any], steps: list[tuple[Any, ...]], flags: int | None
) -> None:
    """Whatever is done to a span, both kinds are exported alike, or neither is."""
    outcomes = []
    starts: list[Callable[[TracerProvider], Span]] = [
        lambda provider: provider.get_tracer("weenats", "1").start_span(
            "s", below(flags), SpanKind.SERVER, dict(attributes), start_time=5
        ),
        lambda provider: late(provider).start_span(
            "s", below(flags), SpanKind.SERVER, dict(attributes), 5
        ),
    ]
    for start in starts:
        provider, exporter = setup(resource=None, shutdown_on_exit=False)
        span = start(provider)
        play(span, steps)
        exported = told(exporter)
        for each in exported:
            del each["resource"]["attributes"]["service.instance.id"]
        ids = span.get_span_context()
        outcomes.append((exported, ids.trace_flags, ids.trace_id == 7, ids.is_remote))
        encode_spans(exporter.get_finished_spans())
    assert outcomes[0] == outcomes[1]


def test_what_comes_after_the_end_is_passed_over() -> None:
    """An ended span records no more, and is exported once."""
    provider, exporter = setup()
    span = late(provider).start_span("s", Context(), SpanKind.CLIENT, {}, None)
    assert span.is_recording()
    span.end()
    play(span, [("set_attribute", "a", 1), ("add_event", "e"), ("update_name", "other")])
    span.set_status(StatusCode.ERROR)
    assert not span.is_recording()
    (only,) = told(exporter)
    assert (only["name"], only["attributes"], only["events"]) == ("s", {}, [])
    assert only["status"] == {"status_code": "UNSET"}


def test_an_exception_is_an_event() -> None:
    """`record_exception` tells type, message and stack, as the SDK does."""
    provider, exporter = setup()
    span = late(provider).start_span("s", Context(), SpanKind.CLIENT, {}, None)
    with pytest.raises(ValueError, match="why") as raised:
        int("why")
    span.record_exception(raised.value, {"more": 1})
    span.end()
    ((event,),) = [each["events"] for each in told(exporter)]
    assert event["name"] == "exception"
    assert event["attributes"]["exception.type"] == "ValueError"
    assert "why" in event["attributes"]["exception.message"]
    assert "test_an_exception_is_an_event" in event["attributes"]["exception.stacktrace"]
    assert event["attributes"]["more"] == 1


def test_values_that_no_attribute_may_have_are_left_out() -> None:
    """A user's mistake costs the attribute, not the span."""
    provider, exporter = setup()
    span = late(provider).start_span("s", Context(), SpanKind.CLIENT, {}, None)
    wrong: Any = object()
    span.set_attribute("wrong", wrong)
    span.set_attribute("", 1)
    span.add_event("e", {"wrong": wrong, "right": 1})
    span.end()
    (only,) = told(exporter)
    assert only["attributes"] == {}
    assert only["events"][0]["attributes"] == {"right": 1}


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(TraceIdRatioBased(0))])
def test_the_sampler_of_the_provider_decides(sampler: Any) -> None:
    """What it drops is not recorded, and those below follow."""
    provider, exporter = setup(sampler=sampler)
    span = late(provider).start_span("s", Context(), SpanKind.CLIENT, {}, None)
    assert not span.is_recording()
    assert not span.get_span_context().trace_flags & TraceFlags.SAMPLED
    span.end()
    assert told(exporter) == []


def test_spans_of_the_sdk_nest_below_them() -> None:
    """A handler's own span has ours as its parent."""
    provider, exporter = setup()
    span = late(provider).start_span("s", Context(), SpanKind.SERVER, {}, None)
    assert isinstance(span, LateSpan)
    inner = provider.get_tracer("user").start_span("inner", set_span_in_context(span, Context()))
    inner.end()
    span.end()
    first, second = exporter.get_finished_spans()
    assert first.parent is not None
    assert first.parent.span_id == second.context.span_id
    assert first.context.trace_id == second.context.trace_id


class SeesStarts(SpanProcessor):
    """A processor that might look at spans when they begin."""


def test_where_somebody_must_see_spans_begin_the_sdk_makes_them() -> None:
    """A processor that is added later is seen at the next span."""
    provider, _ = setup()
    tracer = late(provider)
    provider.add_span_processor(SeesStarts())
    assert not tracer.fits


@pytest.mark.parametrize(
    "limits",
    [
        SpanLimits(max_span_attribute_length=5),
        SpanLimits(max_span_attributes=3),
        SpanLimits(max_events=1),
        SpanLimits(max_event_attributes=1),
    ],
)
def test_where_spans_are_bounded_the_sdk_makes_them(limits: SpanLimits) -> None:
    """Bounds that ours might exceed are the SDK's to keep."""
    provider, _ = setup(span_limits=limits)
    assert LateTracer.of(provider, provider.get_tracer("weenats")) is None


def test_other_providers_make_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subclasses, disabled SDKs and those that count themselves are left alone."""

    class Other(TracerProvider):
        """Somebody else's."""

    other = Other()
    assert LateTracer.of(other, other.get_tracer("weenats")) is None
    provider, _ = setup()
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    assert LateTracer.of(provider, provider.get_tracer("weenats")) is None
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    disabled = TracerProvider()
    assert LateTracer.of(disabled, disabled.get_tracer("weenats")) is None

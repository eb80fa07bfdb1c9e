"""LateSpan: spans built at their end equal those of the SDK."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
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
    st.none()
    | st.binary(max_size=3)
    | st.text(max_size=5)
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.lists(st.text(max_size=3), max_size=2)
    | st.dictionaries(st.text(max_size=1), st.integers(0, 9), max_size=2)
    | st.builds(object)  # no valid value
)
VALID = st.text(max_size=5) | st.booleans() | st.integers(-(2**53), 2**53)
KEYS = st.text(max_size=3)
LINKS = st.sampled_from([SpanContext(3, 4, is_remote=True), SpanContext(0, 0, is_remote=True)])
STATUSES = st.sampled_from([Status(StatusCode.ERROR, "NOT_FOUND"), Status(StatusCode.OK)])
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=4)
STEPS = st.lists(
    st.tuples(st.just("set_attribute"), KEYS, VALUES)
    | st.tuples(st.just("set_attributes"), ATTRIBUTES)
    | st.tuples(st.just("add_event"), st.text(max_size=3), ATTRIBUTES, st.integers(0, 9))
    | st.tuples(st.just("add_link"), LINKS, ATTRIBUTES)
    | st.tuples(st.just("update_name"), st.text(max_size=3))
    | st.tuples(st.just("set_status"), STATUSES)
    | st.tuples(st.just("record_exception"), st.just(ValueError("why")), ATTRIBUTES, st.just(8))
    | st.tuples(st.just("end"), st.integers(10, 20)),
    max_size=6,
)
PARENTS = st.none() | st.sampled_from([0, 1, 2, 3])


def make_provider(**settings: Any) -> tuple[TracerProvider, InMemorySpanExporter]:
    """Return a provider and the exporter with its spans."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(**settings)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def late(provider: TracerProvider) -> LateTracer:
    """Return the LateTracer for a provider."""
    tracer = LateTracer.of(provider, provider.get_tracer("weenats", "1"))
    assert tracer is not None
    assert tracer.fits
    return tracer


def context_below(flags: int | None) -> Context:
    """Return a context with a remote parent of these flags, or an empty one."""
    if flags is None:
        return Context()
    parent = SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(flags))
    return set_span_in_context(NonRecordingSpan(parent), Context())


def exported_spans(exporter: InMemorySpanExporter) -> list[Any]:
    """Return the exported spans as JSON, without random ids."""
    spans = [json.loads(span.to_json()) for span in exporter.get_finished_spans()]
    for span in spans:
        del span["context"]
    return spans


def SDK(provider: TracerProvider) -> Span:  # noqa: N802 - one of two
    """Start a span of the SDK."""
    return provider.get_tracer("weenats", "1").start_span(
        "s", Context(), SpanKind.SERVER, {"a": 1}, start_time=5, record_exception=False
    )


def LATE(provider: TracerProvider) -> Span:  # noqa: N802 - same
    """Start a late span."""
    return late(provider).start_span("s", Context(), SpanKind.SERVER, {"a": 1}, 5)


@contextmanager
def logged() -> Iterator[list[str]]:
    """Collect what the SDK logs."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


def play(span: Span, steps: list[tuple[Any, ...]]) -> None:
    """Apply the steps to a span, then end it."""
    for name, *arguments in steps:
        getattr(span, name)(*arguments)
    span.end(99)


def seen(span: Any) -> dict[str, Any]:
    """Return what a user can read of a span, and what an exporter reads of an ended one."""
    if not isinstance(span, ReadableSpan):
        return {"is_recording": span.is_recording()}
    names = ("name", "kind", "parent", "start_time", "end_time", "instrumentation_scope")
    counts = ("dropped_attributes", "dropped_events", "dropped_links")
    return {
        **{name: getattr(span, name) for name in (*names, *counts)},
        "status": (span.status.status_code, span.status.description),
        "attributes": dict(span.attributes or {}),
        "events": [
            (each.name, dict(each.attributes or {}), each.timestamp, each.dropped_attributes)
            for each in span.events
        ],
        "links": [(each.context, dict(each.attributes or {})) for each in span.links],
        "is_recording": not isinstance(span, Span) or span.is_recording(),
    }


@given(st.dictionaries(st.text(min_size=1, max_size=3), VALID, max_size=4), STEPS, PARENTS)
def test_late_spans_equal_sdk_spans(
    attributes: dict[str, Any], steps: list[tuple[Any, ...]], flags: int | None
) -> None:
    """Whatever is done to a span, both kinds export the same, or nothing."""
    outcomes = []
    starts: list[Callable[[TracerProvider], Span]] = [
        lambda provider: provider.get_tracer("weenats", "1").start_span(
            "s", context_below(flags), SpanKind.SERVER, dict(attributes), start_time=5
        ),
        lambda provider: late(provider).start_span(
            "s", context_below(flags), SpanKind.SERVER, dict(attributes), 5
        ),
    ]
    limits = SpanLimits(max_events=2, max_event_attributes=2, max_links=1, max_link_attributes=2)
    for start in starts:
        provider, exporter = make_provider(
            resource=None, shutdown_on_exit=False, span_limits=limits
        )
        with logged() as warnings:
            span = start(provider)
            play(span, steps)
        exported = [seen(each) for each in exporter.get_finished_spans()]
        ids = span.get_span_context()
        outcomes.append(
            (exported, ids.trace_flags, ids.trace_id == 7, ids.is_remote, seen(span), warnings)
        )
        encode_spans(exporter.get_finished_spans())
    assert outcomes[0] == outcomes[1]


def test_a_span_that_is_looked_at_while_it_runs() -> None:
    """Name, attributes and events are those of now; lists are copied; bounds hold."""
    outcomes = []
    for tracer in (SDK, LATE):
        provider, exporter = make_provider(span_limits=SpanLimits(max_events=128))
        span: Any = tracer(provider)
        first = seen(span)
        tags = ["a"]
        span.set_attribute("tags", tags)
        tags.append("b")
        span.set_attribute("raw", b"x")
        span.add_link(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)))
        for number in range(1000):
            span.add_event(f"row {number}", timestamp=number)
        running = seen(span)
        span.end(99)
        (exported,) = exporter.get_finished_spans()
        assert (len(exported.events), exported.dropped_events) == (128, 872)
        assert (exported.attributes or {})["tags"] == ("a",)
        outcomes.append((first, running, seen(span), seen(exported)))
    assert outcomes[0] == outcomes[1]


def test_a_span_is_a_context_manager() -> None:
    """An exception that leaves it marks it as failed, and is not recorded as an event."""
    outcomes = []
    for tracer in (SDK, LATE):
        provider, exporter = make_provider()
        with pytest.raises(ValueError, match="why"), tracer(provider):
            int("why")
        (span,) = exporter.get_finished_spans()
        outcomes.append((span.status.status_code, span.status.description, len(span.events)))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] is StatusCode.ERROR


def test_the_constructor_of_the_sdk_runs_only_if_it_must() -> None:
    """Plain attributes, a status and the end do not need it; reading the events does."""
    provider, exporter = make_provider()
    span: Any = LATE(provider)
    span.set_attributes({"a": 1, "b": "two", "c": True})
    span.set_status(Status(StatusCode.ERROR, "NOT_FOUND"))
    span.end()
    assert "_events" not in span.__dict__
    assert dict(exporter.get_finished_spans()[0].attributes or {}) == {
        "a": 1,
        "b": "two",
        "c": True,
    }
    assert span.events == ()
    assert "_events" in span.__dict__


def test_an_attribute_that_no_span_has() -> None:
    """It is an AttributeError, before and after the constructor has run."""
    span: Any = LATE(make_provider()[0])
    for _ in range(2):
        with pytest.raises(AttributeError, match="nothing"):
            _ = span.nothing
    assert copy(span).get_span_context() == span.get_span_context()


def test_changes_after_the_end_are_ignored() -> None:
    """An ended span records nothing more and is exported once."""
    provider, exporter = make_provider()
    span = late(provider).start_span("s", Context(), SpanKind.CLIENT, {}, None)
    assert span.is_recording()
    span.end()
    play(span, [("set_attribute", "a", 1), ("add_event", "e"), ("update_name", "other")])
    span.set_status(StatusCode.ERROR)
    assert not span.is_recording()
    (only,) = exported_spans(exporter)
    assert (only["name"], only["attributes"], only["events"]) == ("s", {}, [])
    assert only["status"] == {"status_code": "UNSET"}


def test_record_exception_adds_an_event() -> None:
    """record_exception() adds type, message and stack trace like the SDK."""
    provider, exporter = make_provider()
    span = late(provider).start_span("s", Context(), SpanKind.CLIENT, {}, None)
    with pytest.raises(ValueError, match="why") as raised:
        int("why")
    span.record_exception(raised.value, {"more": 1})
    span.end()
    ((event,),) = [each["events"] for each in exported_spans(exporter)]
    assert event["name"] == "exception"
    assert event["attributes"]["exception.type"] == "ValueError"
    assert "why" in event["attributes"]["exception.message"]
    assert "test_record_exception_adds_an_event" in event["attributes"]["exception.stacktrace"]
    assert event["attributes"]["more"] == 1


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(TraceIdRatioBased(0))])
def test_provider_sampler_is_respected(sampler: Any) -> None:
    """Spans that the sampler drops are not recorded, nor are their children."""
    provider, exporter = make_provider(sampler=sampler)
    span = late(provider).start_span("s", Context(), SpanKind.CLIENT, {}, None)
    assert not span.is_recording()
    assert not span.get_span_context().trace_flags & TraceFlags.SAMPLED
    span.end()
    assert exported_spans(exporter) == []


def test_sdk_spans_nest_below_late_spans() -> None:
    """A handler's own span has the late span as its parent."""
    provider, exporter = make_provider()
    span = late(provider).start_span("s", Context(), SpanKind.SERVER, {}, None)
    assert isinstance(span, LateSpan)
    inner = provider.get_tracer("user").start_span("inner", set_span_in_context(span, Context()))
    inner.end()
    span.end()
    first, second = exporter.get_finished_spans()
    assert first.parent is not None
    assert first.parent.span_id == second.context.span_id
    assert first.context.trace_id == second.context.trace_id


class StartProcessor(SpanProcessor):
    """A span processor that could read spans at their start."""


def test_start_processors_disable_late_spans() -> None:
    """A span processor added later takes effect with the next span."""
    provider, _ = make_provider()
    tracer = late(provider)
    provider.add_span_processor(StartProcessor())
    assert not tracer.fits


@pytest.mark.parametrize(
    "limits", [SpanLimits(max_span_attribute_length=5), SpanLimits(max_span_attributes=3)]
)
def test_span_limits_disable_late_spans(limits: SpanLimits) -> None:
    """With span limits the SDK creates the spans."""
    provider, _ = make_provider(span_limits=limits)
    assert LateTracer.of(provider, provider.get_tracer("weenats")) is None


def test_other_providers_disable_late_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subclasses, a disabled SDK and internal SDK metrics disable late spans."""

    class SubclassedProvider(TracerProvider):
        """A subclass of TracerProvider."""

    other = SubclassedProvider()
    assert LateTracer.of(other, other.get_tracer("weenats")) is None
    provider, _ = make_provider()
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    assert LateTracer.of(provider, provider.get_tracer("weenats")) is None
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    disabled = TracerProvider()
    assert LateTracer.of(disabled, disabled.get_tracer("weenats")) is None

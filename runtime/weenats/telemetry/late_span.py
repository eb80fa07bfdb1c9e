"""Spans that are put together when they end, at less than half of what the SDK's own cost.

Most of what a span of the SDK costs is its construction: locks, bounded containers, a check of each
attribute. Ours are known to be sound: a span keeps a dictionary until its end, and then goes to the
SDK's processors as the `ReadableSpan` that the SDK's own would have become. Sampler, ids, resource
and scope are those of the SDK's tracer. Where something must see spans begin, or where there are
bounds that ours might exceed, the SDK makes its own.
"""

from __future__ import annotations

import traceback
from os import environ
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.sdk.trace import (  # noqa: TID251 - this file is imported where an SDK is in use
    Event,
    ReadableSpan,
    Tracer,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import (  # noqa: TID251 - same
    BatchSpanProcessor,
    SimpleSpanProcessor,
)
from opentelemetry.sdk.trace.sampling import Decision  # noqa: TID251 - same
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
)
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind
    from opentelemetry.util.types import AttributeValue

_UNSET: Final = Status(StatusCode.UNSET)
_SEES_ENDS_ONLY: Final = (BatchSpanProcessor, SimpleSpanProcessor)
_FEWEST_ATTRIBUTES: Final = 64
_OWN_METRICS: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_RANDOM: Final = TraceFlags.RANDOM_TRACE_ID


class LateTracer:
    """Starts such spans for a tracer of the SDK.

    Args:
        tracer: whose sampler, ids, resource and scope hold.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer: Any = tracer  # what it keeps of its construction is not typed
        self._checked: object = None
        self._fits = False

    @classmethod
    def of(cls, provider: object, tracer: object) -> LateTracer | None:
        """Return one for a tracer, None where only the SDK's own spans will do."""
        if type(provider) is not TracerProvider or type(tracer) is not Tracer:
            return None
        limits: Any = getattr(tracer, "_span_limits")  # noqa: B009 - the SDK shows it nowhere else
        bounds = (limits.max_span_attributes, limits.max_event_attributes, limits.max_events)
        if limits.max_span_attribute_length is not None or environ.get(_OWN_METRICS):
            return None
        if any(bound is not None and bound < _FEWEST_ATTRIBUTES for bound in bounds):
            return None
        return cls(tracer)

    @property
    def fits(self) -> bool:
        """Say whether all processors look at spans when they end, and not before."""
        processors: tuple[object, ...] = self._tracer.span_processor._span_processors
        if processors is not self._checked:
            self._checked = processors
            self._fits = all(type(each) in _SEES_ENDS_ONLY for each in processors)
        return self._fits

    def start_span(
        self,
        name: str,
        parent: Context,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        start_time: int | None,
    ) -> Span:
        """Start a span; it owns the attributes from now on."""
        tracer = self._tracer
        found = get_current_span(parent).get_span_context()
        above = found if found.is_valid else None
        if above is None:
            trace_id = tracer.id_generator.generate_trace_id()
            is_random = _RANDOM if tracer.id_generator.is_trace_id_random() else 0
        else:
            trace_id, is_random = above.trace_id, above.trace_flags & _RANDOM
        result: Any = tracer.sampler.should_sample(parent, trace_id, name, kind, attributes, ())
        flags = TraceFlags((_SAMPLED if result.decision.is_sampled() else 0) | is_random)
        context = SpanContext(
            trace_id,
            tracer.id_generator.generate_span_id(),
            is_remote=False,
            trace_flags=flags,
            trace_state=result.trace_state,
        )
        if result.decision is Decision.DROP:
            return NonRecordingSpan(context)
        if result.attributes != attributes:
            attributes.update(result.attributes)
        return LateSpan(self._tracer, name, context, above, kind, attributes, start_time)


class LateSpan(Span):
    """A span that is recorded; what is set after its end is passed over."""

    __slots__ = (
        "_above",
        "_attributes",
        "_context",
        "_ended",
        "_events",
        "_kind",
        "_name",
        "_start_time",
        "_status",
        "_tracer",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - what a span is made of
        self,
        tracer: Any,  # noqa: ANN401 - see LateTracer
        name: str,
        context: SpanContext,
        above: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        start_time: int | None,
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._context = context
        self._above = above
        self._kind = kind
        self._attributes = attributes
        self._start_time = time_ns() if start_time is None else start_time
        self._status = _UNSET
        self._events: list[Event] | None = None
        self._ended = False

    @override
    def get_span_context(self) -> SpanContext:
        return self._context

    @override
    def is_recording(self) -> bool:
        return not self._ended

    @override
    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        for name, value in attributes.items():
            self.set_attribute(name, value)

    @override
    def set_attribute(self, key: str, value: AttributeValue) -> None:
        if not self._ended and key and _is_sound(value):
            self._attributes[key] = value

    @override
    def add_event(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        timestamp: int | None = None,
    ) -> None:
        if self._ended:
            return
        sound = {key: value for key, value in (attributes or {}).items() if _is_sound(value)}
        if self._events is None:
            self._events = []
        self._events.append(Event(name, sound, timestamp))

    @override
    def update_name(self, name: str) -> None:
        if not self._ended:
            self._name = name

    @override
    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if not self._ended:
            self._status = status if isinstance(status, Status) else Status(status, description)

    @override
    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, AttributeValue] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        told = {
            "exception.type": type(exception).__qualname__,
            "exception.message": str(exception),
            "exception.stacktrace": "".join(traceback.format_exception(exception)),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**told, **(attributes or {})}, timestamp)

    @override
    def end(self, end_time: int | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        tracer = self._tracer
        tracer.span_processor.on_end(
            ReadableSpan(
                self._name,
                self._context,
                self._above,
                tracer.resource,
                self._attributes,
                self._events or (),
                (),
                self._kind,
                tracer.instrumentation_info,
                self._status,
                self._start_time,
                time_ns() if end_time is None else end_time,
                tracer._instrumentation_scope,
            )
        )


def _is_sound(value: object) -> bool:
    if isinstance(value, str | bool | int | float):
        return True
    if not isinstance(value, list | tuple):
        return False
    return all(isinstance(each, str | bool | int | float) for each in cast("list[object]", value))

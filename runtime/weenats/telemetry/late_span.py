"""Spans of the SDK that are constructed as late as possible, which halves their cost.

Most of the cost of a span is its construction: locks, bounded containers, a check of each
attribute. A `LateSpan` keeps its attributes in a dictionary. For most spans that is enough until
they end; then the processors get the same `ReadableSpan` that the SDK would have made. Any other
use of the span first runs the constructor of the SDK; from then on the span is an ordinary one.
"""

from __future__ import annotations

from os import environ
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import ReadableSpan, Span, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, ParentBased, Sampler
from opentelemetry.trace import (
    NonRecordingSpan,
    Status,
    StatusCode,
    TraceFlags,
)
from typing_extensions import override

from weenats._internal.process_lock import process_lock
from weenats.telemetry.propagation import span_context, span_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext, SpanKind
    from opentelemetry.util.types import AttributeValue

__all__ = ["LateSpan", "LateTracer"]
_UNSET: Final = Status(StatusCode.UNSET)
_SCALARS: Final = frozenset({str, bool, int, float})
_USES_ENDED_SPANS_ONLY: Final = (BatchSpanProcessor, SimpleSpanProcessor)
_MAX_ATTRIBUTES: Final = 64
_OWN_METRICS: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
_SAMPLED: Final = TraceFlags.SAMPLED
_RANDOM: Final = TraceFlags.RANDOM_TRACE_ID
_CONSTRUCTING: Final = process_lock()
_UNTIL_CONSTRUCTED: Final = process_lock()  # after the other one, which is taken while it is held


class LateTracer:
    """Starts late spans for a tracer of the SDK.

    Args:
        tracer: the tracer whose sampler, ids, resource and scope are used.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer: Any = tracer  # its attributes have no public types
        sampler: Any = tracer.sampler
        self._is_parent_based = _decides_by_parent(sampler)
        self._continues_traces = (
            self._is_parent_based
            and sampler._remote_parent_sampled is ALWAYS_ON
            and sampler._local_parent_sampled is ALWAYS_ON
        )
        self._checked: object = None
        self._fits = False

    @classmethod
    def of(cls, provider: object, tracer: object) -> LateTracer | None:
        """Return a late tracer.

        Args:
            provider: the provider of the tracer.
            tracer: the tracer.

        Returns:
            None when late spans are not possible, because of the class or the limits of the tracer.
        """
        if type(provider) is not TracerProvider or type(tracer) is not Tracer:
            return None
        limits: Any = getattr(tracer, "_span_limits")  # noqa: B009 - the SDK has no public name
        most = limits.max_span_attributes
        if (
            limits.max_span_attribute_length is not None
            or (most is not None and most < _MAX_ATTRIBUTES)
            or environ.get(_OWN_METRICS)
        ):
            return None
        return cls(tracer)

    @property
    def fits(self) -> bool:
        """Whether all processors use spans when they end, and not before."""
        processors: tuple[object, ...] = self._tracer.span_processor._span_processors
        if processors is not self._checked:
            self._checked = processors
            self._fits = all(type(each) in _USES_ENDED_SPANS_ONLY for each in processors)
        return self._fits

    def start_span(
        self,
        name: str,
        parent: Context,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        start_time: int | None,
    ) -> trace.Span:
        """Start a span as the SDK's tracer does.

        Args:
            name: the name of the span.
            parent: the context of its parent.
            kind: its kind.
            attributes: its attributes, at most 64 and all valid; the span owns the dictionary.
            start_time: when it started, nanoseconds since the epoch; now if not set.
        """
        tracer = self._tracer
        found = span_of(parent).get_span_context()
        trace_id, _, _, above_flags, state, is_valid = found
        span_id = tracer.id_generator.generate_span_id()
        if is_valid and self._continues_traces and above_flags & _SAMPLED:
            # What the sampler would say, in two microseconds.
            flags = above_flags & (_SAMPLED | _RANDOM)
            context = span_context(trace_id, span_id, flags, state)
            return LateSpan(tracer, name, context, found, kind, attributes, start_time)
        sampler = tracer.sampler
        if is_valid:
            is_random = above_flags & _RANDOM
        else:
            trace_id = tracer.id_generator.generate_trace_id()
            is_random = _RANDOM if tracer.id_generator.is_trace_id_random() else 0
            sampler = sampler._root if self._is_parent_based else sampler
        result: Any = sampler.should_sample(parent, trace_id, name, kind, attributes, ())
        flags = (_SAMPLED if result.decision.is_sampled() else 0) | is_random
        context = span_context(trace_id, span_id, flags, result.trace_state)
        if result.decision is Decision.DROP:
            return NonRecordingSpan(context)
        if result.attributes != attributes:
            attributes.update(result.attributes)
        above = found if is_valid else None
        return LateSpan(tracer, name, context, above, kind, attributes, start_time)


class LateSpan(Span):
    """A span of the SDK whose constructor runs when one of the attributes it sets is needed.

    Its attributes are in `_early` until then.

    Args:
        tracer: the tracer of the SDK.
        name: the name of the span.
        context: its context.
        parent: the context of its parent, None for a root.
        kind: its kind.
        attributes: its attributes, as for LateTracer.start_span.
        start_time: when it started, nanoseconds since the epoch; None for now.
    """

    _lock: Any = _UNTIL_CONSTRUCTED  # until the constructor has made one for this span
    _early: dict[str, AttributeValue] | None = None

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a span
        self,
        tracer: Any,  # noqa: ANN401 - see LateTracer
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        start_time: int | None,
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._start_time = time_ns() if start_time is None else start_time
        self._end_time = None
        self._status = _UNSET
        self._early = attributes

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of the SDK's span
        """Run the constructor of the SDK, then return an attribute that it has set."""
        with _CONSTRUCTING:
            early, self._early = self._early, None
            if early is not None:
                self._construct(early)
        return self.__getattribute__(name)

    def _construct(self, attributes: dict[str, AttributeValue]) -> None:
        tracer, start, end, status = self._tracer, self._start_time, self._end_time, self._status
        super().__init__(
            self._name,
            self.get_span_context(),
            self._parent,
            tracer.sampler,
            resource=tracer.resource,
            attributes=attributes,
            kind=self._kind,
            span_processor=tracer.span_processor,
            instrumentation_info=tracer.instrumentation_info,
            record_exception=False,
            limits=tracer._span_limits,
            instrumentation_scope=tracer._instrumentation_scope,
        )
        self._start_time, self._end_time, self._status = start, end, status

    @override
    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        fields: Any = self.__dict__  # a class with __getattr__ is slow to read attributes from
        early = fields["_early"]
        if early is not None and fields["_end_time"] is None and _are_plain(attributes, early):
            early.update(attributes)
        else:
            super().set_attributes(attributes)

    def add_scalars(self, attributes: Mapping[str, str | bool]) -> None:
        """Add a few attributes that are valid, without the checks of `set_attributes`.

        Args:
            attributes: the attributes.
        """
        fields: Any = self.__dict__
        early = fields["_early"]
        if early is not None and fields["_end_time"] is None:
            early.update(attributes)
        else:
            super().set_attributes(attributes)

    @override
    def set_attribute(self, key: str, value: AttributeValue) -> None:
        if type(value) in _SCALARS and key:
            self.set_attributes({key: value})
        else:
            super().set_attribute(key, value)

    @override
    def end(self, end_time: int | None = None) -> None:
        fields: Any = self.__dict__
        if fields["_early"] is None or fields["_end_time"] is not None:
            super().end(end_time)
            return
        fields["_end_time"] = end_time = time_ns() if end_time is None else end_time
        tracer = fields["_tracer"]
        tracer.span_processor.on_end(
            ReadableSpan(
                fields["_name"],
                fields["_context"],
                fields["_parent"],
                tracer.resource,
                fields["_early"],
                (),
                (),
                fields["_kind"],
                tracer.instrumentation_info,
                fields["_status"],
                fields["_start_time"],
                end_time,
                tracer._instrumentation_scope,
            )
        )


def _decides_by_parent(sampler: Sampler) -> bool:
    return type(sampler).should_sample is ParentBased.should_sample


def _are_plain(
    attributes: Mapping[str, AttributeValue], others: Mapping[str, AttributeValue]
) -> bool:
    """Return whether the SDK would add these attributes unchanged to the others."""
    if len(attributes) + len(others) > _MAX_ATTRIBUTES:
        return False
    for key, value in attributes.items():  # noqa: SIM110 - a generator is slower for so few
        if type(value) not in _SCALARS or not key:
            return False
    return True

"""Telemetry of events: PRODUCER spans of publishers, CONSUMER spans of subscribers, metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal
from weakref import WeakKeyDictionary, proxy

from opentelemetry import context as otel
from opentelemetry.trace import SpanKind, Status, StatusCode

from weenats.codec.failures import code_of
from weenats.errors import Code, ServiceError
from weenats.protocol.subjects import Kind
from weenats.telemetry import semconv
from weenats.telemetry.manager import TelemetryManager, current_parent
from weenats.telemetry.propagation import (
    DeferredSpan,
    extract_trace_context,
    header_lines,
    with_span,
)
from weenats.telemetry.recording import Recording, hand_over

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from weenats.context import MessageContext
    from weenats.contract import Event
    from weenats.telemetry.manager import Attributes

__all__ = ["EventTelemetry"]
_DURATIONS: Final = {
    "publish": (semconv.PUBLISH_DURATION, "Duration of handing messages to the connection."),
    "process": (semconv.PROCESS_DURATION, "Duration of handling received messages."),
}
_COUNTS: Final = {
    "publish": (semconv.SENT, "{message}", "Messages handed to the connection."),
    "process": (semconv.CONSUMED, "{message}", "Messages handed to handlers."),
}
_publishers: Final[WeakKeyDictionary[TelemetryManager, dict[Event[Any], EventTelemetry]]] = (
    WeakKeyDictionary()
)


class EventTelemetry:
    """The spans and metrics of one event, for its publisher or a subscriber.

    Args:
        manager: starts spans and creates instruments.
        event: the event.
        action: "publish" or "process".
        queue_group: the queue group of a subscriber, "" for none.
    """

    def __init__(
        self,
        manager: TelemetryManager,
        event: Event[Any],
        action: Literal["publish", "process"],
        queue_group: str = "",
    ) -> None:
        self._manager = manager
        self._name = f"{action} {event.subject}"
        self._kind = SpanKind.PRODUCER if action == "publish" else SpanKind.CONSUMER
        self._of_metrics: Attributes = {
            semconv.SYSTEM: semconv.NATS,
            semconv.DESTINATION: event.subject,
            semconv.OPERATION_NAME: action,
        }
        settings = manager.settings
        if queue_group and settings.attributes != "minimal":
            self._of_metrics[semconv.CONSUMER_GROUP] = queue_group
        self._of_errors: dict[str, Attributes] = {}
        self._of_spans = dict(self._of_metrics)
        self._of_spans[semconv.OPERATION_TYPE] = "send" if action == "publish" else action
        if settings.attributes == "full":
            self._of_spans[semconv.OWN_SUBJECT] = event.subject
            self._of_spans[semconv.ENVIRONMENT] = settings.environment
        self._record_duration = manager.durations(*_DURATIONS[action])
        self._add_to_count = manager.counter(*_COUNTS[action])

    @classmethod
    def of_publisher(cls, manager: TelemetryManager, event: Event[Any]) -> EventTelemetry:
        """Return the telemetry of an event for its publisher, which is created once.

        Args:
            manager: starts spans and creates instruments.
            event: the event.
        """
        events = _publishers.setdefault(manager, {})
        if event not in events:
            # A proxy, because the cache must not keep the manager alive.
            events[event] = cls(proxy(manager), event, "publish")
        return events[event]

    def publishing(
        self, context: MessageContext, size: int, cause: Mapping[str, str] | None = None
    ) -> Recording:
        """Return the recording of a published message.

        Args:
            context: the message.
            size: its size in bytes.
            cause: headers with the trace that it belongs to; None for the current trace.
        """
        if not self._manager.traces:
            return Recording(self._end, None)
        parent = current_parent() if cause is None else extract_trace_context(cause)
        span = self._start(parent, context, size)
        return Recording(self._end, span, header_lines(span.get_span_context(), parent))

    def processing(self, context: MessageContext) -> Recording:
        """Return the recording of a received message, for the task that handles it.

        Args:
            context: the message.
        """
        if not self._manager.traces:
            return Recording(self._end, None)
        parent = extract_trace_context(context.headers)
        span = self._start(parent, context)
        context.otel_context = with_span(parent, span)
        otel.attach(context.otel_context)  # until the task ends
        return Recording(self._end, span)

    def refuse(self, headers: Mapping[str, str], error: ServiceError) -> None:
        """Record a message that was rejected before it reached a handler.

        Args:
            headers: the headers of the message.
            error: the reason.
        """
        traces = self._manager.traces
        self._count_end(self._start(extract_trace_context(headers)) if traces else None, error)

    def _start(
        self, parent: Context, context: MessageContext | None = None, size: int | None = None
    ) -> Span:
        unsampled = self._manager.unsampled(parent, Kind.EVENT)
        if unsampled is not None:
            return unsampled
        attributes = dict(self._of_spans)
        if context is not None:
            attributes |= self._manager.correlation(context)
        if size is not None and self._manager.settings.attributes == "full":
            attributes[semconv.BODY_SIZE] = size
        return self._manager.record(self._name, self._kind, attributes, parent)

    def _end(self, span: Span | None, seconds: float, error: BaseException | None) -> None:
        is_sampled = span is not None and type(span) is not DeferredSpan
        sampled_in = otel.get_current() if is_sampled else None
        self._record_duration(seconds, self._count_end(span, error), sampled_in)

    def _count_end(self, span: Span | None, raised: BaseException | None) -> Attributes:
        """End a span and count the message; return the attributes of its metrics."""
        attributes = self._of_metrics
        if raised is not None:
            error = _type_of(raised)
            attributes = self._of_errors.setdefault(
                error, {**attributes, semconv.ERROR_TYPE: error}
            )
            if span is not None and span.is_recording():
                span.set_attribute(semconv.ERROR_TYPE, error)
                span.set_status(Status(StatusCode.ERROR, error))
        if span is not None:
            hand_over(span)
        self._add_to_count(1, attributes)
        return attributes


def _type_of(error: BaseException) -> str:
    """Return the code or the class of an error, never its text."""
    if isinstance(error, asyncio.CancelledError):
        return Code.CANCELLED.value
    code = code_of(error)
    return type(error).__name__ if code is None else code.value

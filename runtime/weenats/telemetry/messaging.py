"""The spans and metrics of one event: PRODUCER where it is published, CONSUMER where taken."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel
from opentelemetry.trace import SpanKind, Status, StatusCode

from weenats.errors import Code, ServiceError
from weenats.protocol.subjects import Kind
from weenats.telemetry import semconv
from weenats.telemetry.manager import current_parent
from weenats.telemetry.propagation import create_trace_headers, extract_trace_context, in_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from weenats.context import MessageContext
    from weenats.contract import Event
    from weenats.telemetry.manager import Attributes, TelemetryManager


class EventTelemetry:
    """What is told of one event.

    Args:
        manager: whose settings hold.
        event: the event.
        queue_group: with whom its messages are shared, where it is taken.
    """

    def __init__(self, manager: TelemetryManager, event: Event[Any], queue_group: str = "") -> None:
        self._manager = manager
        self._subject = event.subject
        self._system: Attributes = {
            semconv.SYSTEM: semconv.NATS,
            semconv.DESTINATION: event.subject,
        }
        if queue_group and manager.settings.attributes != "minimal":
            self._system[semconv.CONSUMER_GROUP] = queue_group
        self._outcomes: dict[tuple[str, str | None], Attributes] = {}
        self._publishing = manager.histogram(
            semconv.PUBLISH_DURATION, "Duration of handing messages to the connection."
        )
        self._processing = manager.histogram(
            semconv.PROCESS_DURATION, "Duration of handling received messages."
        )
        self._sent = manager.meter.create_counter(
            semconv.SENT, unit="{message}", description="Messages handed to the connection."
        )
        self._consumed = manager.meter.create_counter(
            semconv.CONSUMED, unit="{message}", description="Messages handed to handlers."
        )

    @classmethod
    def of_publisher(cls, manager: TelemetryManager, event: Event[Any]) -> EventTelemetry:
        """Return what tells of an event where it is published, the same one each time."""
        told = manager.publishers.get(event)
        if told is None:
            told = manager.publishers[event] = cls(manager, event)
        return told

    def publish(self, context: MessageContext, send: Callable[[Mapping[str, str]], int]) -> None:
        """Send a message within a PRODUCER span; `send` takes trace headers, returns the size."""
        span, headers = self._begin_publishing(context)
        error: str | None = None
        started = perf_counter()
        try:
            size = send(headers)
        except Exception as failure:
            error = _type_of(failure)
            raise
        else:
            if span is not None and self._manager.settings.attributes == "full":
                span.set_attribute(semconv.BODY_SIZE, size)
        finally:
            _end(span, error)
            told = self._outcome("publish", error)
            self._publishing.record(perf_counter() - started, told)
            self._sent.add(1, told)

    def begin(self, context: MessageContext) -> Span | None:
        """Start the CONSUMER span of a message, and make it the current one of this task."""
        if not self._manager.traces:
            return None
        parent = extract_trace_context(context.headers)
        span = self._manager.unsampled(parent, Kind.EVENT)
        if span is None:
            span = self._record("process", SpanKind.CONSUMER, parent, context)
        context.otel_context = in_context(span, parent)
        otel.attach(context.otel_context)  # the task of the message ends with it
        return span

    def end(self, span: Span | None, seconds: float, error: BaseException | None) -> None:
        """End the span of a message that took so long, and count it."""
        failure = None if error is None else _type_of(error)
        _end(span, failure)
        told = self._outcome("process", failure)
        self._processing.record(seconds, told)
        self._consumed.add(1, told)

    def refuse(self, headers: Mapping[str, str], error: ServiceError) -> None:
        """Tell of a message that came to no handler."""
        failure = _type_of(error)
        if self._manager.traces:
            parent = extract_trace_context(headers)
            if self._manager.unsampled(parent, Kind.EVENT) is None:
                _end(self._record("process", SpanKind.CONSUMER, parent, None), failure)
        self._consumed.add(1, self._outcome("process", failure))

    def _begin_publishing(self, context: MessageContext) -> tuple[Span | None, dict[str, str]]:
        """Return the span when one is recorded, and the headers that carry the trace on."""
        if not self._manager.traces:
            return None, {}
        parent = current_parent()
        span = self._manager.unsampled(parent, Kind.EVENT)
        if span is None:
            span = self._record("publish", SpanKind.PRODUCER, parent, context)
        return span, create_trace_headers(in_context(span, parent))

    def _record(
        self, action: str, span_kind: SpanKind, parent: Context, context: MessageContext | None
    ) -> Span:
        attributes = {
            **self._system,
            semconv.OPERATION_NAME: action,
            semconv.OPERATION_TYPE: "send" if action == "publish" else action,
        }
        if context is not None:
            attributes |= self._manager.correlation(context)
        if self._manager.settings.attributes == "full":
            attributes[semconv.OWN_SUBJECT] = self._subject
            attributes[semconv.ENVIRONMENT] = self._manager.settings.environment
        name = f"{action} {self._subject}"
        return self._manager.record(name, span_kind, attributes, parent)

    def _outcome(self, action: str, error: str | None) -> Attributes:
        """Return the attributes of metrics; there is one set for each outcome."""
        attributes = self._outcomes.get((action, error))
        if attributes is None:
            failure: Attributes = {} if error is None else {semconv.ERROR_TYPE: error}
            attributes = {**self._system, semconv.OPERATION_NAME: action, **failure}
            self._outcomes[action, error] = attributes
        return attributes


def _end(span: Span | None, error: str | None) -> None:
    if span is None:
        return
    if error is not None and span.is_recording():
        span.set_attribute(semconv.ERROR_TYPE, error)
        span.set_status(Status(StatusCode.ERROR, error))
    span.end()


def _type_of(error: BaseException) -> str:
    """Return what an error is, never what it says."""
    if isinstance(error, asyncio.CancelledError):
        return Code.CANCELLED.value
    return error.code.value if isinstance(error, ServiceError) else type(error).__name__

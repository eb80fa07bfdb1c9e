"""The spans and metrics of one event: PRODUCER where it is published, CONSUMER where taken."""

from __future__ import annotations

from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel
from opentelemetry.trace import SpanKind, Status, StatusCode

from weenats.propagation import create_trace_headers, extract_trace_context, in_context
from weenats.subjects import Kind
from weenats.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Span

    from weenats.context import MessageContext
    from weenats.contract import Event
    from weenats.telemetry.manager import Attributes, TelemetryManager

_FAILED: Final = "_OTHER"


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
            names.SYSTEM: names.NATS,
            names.DESTINATION: event.subject,
        }
        if queue_group and manager.settings.attributes != "minimal":
            self._system[names.CONSUMER_GROUP] = queue_group
        self._publishing = manager.histogram(
            names.PUBLISH_DURATION, "Duration of handing messages to the connection."
        )
        self._processing = manager.histogram(
            names.PROCESS_DURATION, "Duration of handling received messages."
        )
        self._sent = manager.meter.create_counter(
            names.SENT, unit="{message}", description="Messages handed to the connection."
        )
        self._consumed = manager.meter.create_counter(
            names.CONSUMED, unit="{message}", description="Messages handed to handlers."
        )

    def publish(self, context: MessageContext, send: Callable[[Mapping[str, str]], int]) -> None:
        """Send a message within a PRODUCER span; `send` takes trace headers, returns the size."""
        attributes = self._attributes("publish", "send", context)
        span, error, started = None, None, perf_counter()
        headers: dict[str, str] = {}
        if self._manager.traces:
            parent = otel.get_current()
            span = self._manager.start_event_span(
                f"publish {self._subject}", SpanKind.PRODUCER, Kind.EVENT, attributes, parent
            )
            headers = create_trace_headers(in_context(span, parent))
        try:
            size = send(headers)
        except Exception as failure:
            error = type(failure).__name__
            raise
        else:
            if span is not None and self._manager.settings.attributes == "full":
                span.set_attribute(names.BODY_SIZE, size)
        finally:
            told = self._end(span, "publish", error)
            self._publishing.record(perf_counter() - started, told)
            self._sent.add(1, told)

    def begin(self, context: MessageContext) -> Span | None:
        """Start the CONSUMER span of a message, and make it the current one of this task."""
        if not self._manager.traces:
            return None
        parent = extract_trace_context(context.headers)
        attributes = self._attributes("process", "process", context)
        span = self._manager.start_event_span(
            f"process {self._subject}",
            SpanKind.CONSUMER,
            Kind.EVENT,
            attributes,
            parent,
            time_ns(),
        )
        context.otel_context = in_context(span, parent)
        otel.attach(context.otel_context)
        return span

    def end(self, span: Span | None, seconds: float, *, failed: bool) -> None:
        """End the span of a message that took so long, and count it."""
        told = self._end(span, "process", _FAILED if failed else None)
        self._processing.record(seconds, told)
        self._consumed.add(1, told)

    def _attributes(self, action: str, kind: str, context: MessageContext) -> Attributes:
        named = {names.OPERATION_NAME: action, names.OPERATION_TYPE: kind}
        attributes = {**self._system, **named, **self._manager.correlation(context)}
        if self._manager.settings.attributes == "full":
            attributes[names.OWN_SUBJECT] = self._subject
            attributes[names.ENVIRONMENT] = self._manager.settings.environment
        return attributes

    def _end(self, span: Span | None, action: str, error: str | None) -> Attributes:
        """End a span; return the attributes of its metrics."""
        failed: Attributes = {} if error is None else {names.ERROR_TYPE: error}
        if span is not None:
            if error is not None and span.is_recording():
                span.set_attributes(failed)
                span.set_status(Status(StatusCode.ERROR, error))
            span.end()
        return {**self._system, names.OPERATION_NAME: action, **failed}

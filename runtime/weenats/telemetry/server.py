"""Telemetry of requests on the side of the service: SERVER spans and durations."""

from __future__ import annotations

from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel
from opentelemetry.trace import SpanKind
from typing_extensions import override

from weenats._internal.timestamps import since_epoch
from weenats.interceptors import Description, ServiceFeature, Setting
from weenats.telemetry import semconv
from weenats.telemetry.propagation import extract_trace_context, with_span
from weenats.telemetry.recording import CallRecorder, end_span
from weenats.telemetry.settings import shown_principal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from weenats.context import RequestContext, Response
    from weenats.contract import AnyOperation
    from weenats.errors import ServiceError
    from weenats.interceptors import CallNext
    from weenats.telemetry.manager import Attributes, TelemetryManager
    from weenats.transport.base import Delivery

__all__ = ["ServedOperation", "ServerTelemetry"]
_NANOSECONDS_PER_SECOND: Final = 1e9


class ServerTelemetry(ServiceFeature):
    """Records a span and the duration of each request: the outermost member of the chain.

    Args:
        manager: records them.
        queue_group: the queue group of the instance.
        chain: all members of the chain; their descriptions add attributes to the spans.
    """

    def __init__(
        self, manager: TelemetryManager, queue_group: str, chain: Sequence[ServiceFeature]
    ) -> None:
        self._manager = manager
        self._queue_group = queue_group
        self._chain = chain
        self._operations: dict[AnyOperation, ServedOperation] = {}

    @override
    def interceptor(self, operation: AnyOperation) -> ServedOperation:
        served = self._operations.get(operation)
        if served is None:
            features: Attributes = {semconv.FEATURE_AUTH: "disabled"}
            for member in self._chain:
                description = member.describe(operation)
                features |= {} if description is None else description.span_attributes
            served = ServedOperation(self._manager, operation, self._queue_group, features)
            self._operations[operation] = served
        return served

    @override
    def describe(self, operation: AnyOperation) -> Description:
        settings = self._manager.settings
        shares = ", ".join(f"{name} {share:g}" for name, share in settings.sampling.items())
        value = f"{settings.attributes} attributes, sampling {shares}"
        return Description(
            name="telemetry", settings=(Setting("telemetry", value, "with_telemetry"),)
        )

    @override
    def on_refused(
        self, operation: AnyOperation, delivery: Delivery, received: int, error: ServiceError
    ) -> None:
        self.interceptor(operation).refused(delivery, received, error)


class ServedOperation(CallRecorder):
    """The spans and durations of one operation; an interceptor.

    A span starts when its request arrived and ends when the request has been answered.

    Args:
        manager: records them.
        operation: the operation.
        queue_group: the queue group of the instance.
        features: attributes of the features of the operation.
    """

    def __init__(
        self,
        manager: TelemetryManager,
        operation: AnyOperation,
        queue_group: str,
        features: Attributes,
    ) -> None:
        name, subject = f"{operation.contract.name}/{operation.label}", operation.subject
        super().__init__(manager, name, operation.kind, subject, ("process", "process"))
        self._record_duration = manager.durations(
            semconv.SERVER_DURATION, "Duration of served calls."
        )
        self._is_full = manager.settings.attributes == "full"
        self._hides_principal = self._has_features and manager.settings.principal != "plain"
        if self._has_features:
            self._attributes |= {semconv.CONSUMER_GROUP: queue_group, **features}
        if self._is_full:
            self._attributes[semconv.OWN_QUEUE_GROUP] = queue_group

    def __call__(self, context: RequestContext, call_next: CallNext, /) -> Awaitable[Response]:
        """Start the span of a request; it ends when the request has been answered.

        Args:
            context: the request.
            call_next: handles the request.

        Returns:
            The response.
        """
        context.on_answer(self._end)
        if self._manager.traces:
            parent = extract_trace_context(context.headers)
            span = self._manager.unsampled(parent, self._kind) or self._start(context, parent)
            context.otel_context = with_span(parent, span)
            otel.attach(context.otel_context)  # until the task of the request ends
        return call_next(context)

    def refused(self, delivery: Delivery, received: int, error: ServiceError) -> None:
        """Record a request that was refused before it entered the chain.

        Args:
            delivery: the message.
            received: when it arrived, nanoseconds of the monotonic clock.
            error: the error that the caller gets.
        """
        if self._manager.traces:
            parent = extract_trace_context(delivery.headers)
            if self._manager.unsampled(parent, self._kind) is None:
                attributes = dict(self._attributes)
                span = self._manager.record(
                    self.name, SpanKind.SERVER, attributes, parent, since_epoch(received)
                )
                end_span(span, error)
        self._count(monotonic_ns() - received, error, None)

    def _start(self, context: RequestContext, parent: Context) -> Span:
        attributes = self._attributes | self._manager.correlation(context)
        if self._is_full:
            attributes[semconv.BODY_SIZE] = context.size
        span = context.span = self._manager.record(
            self.name, SpanKind.SERVER, attributes, parent, context.arrival or None
        )
        if self._hides_principal:
            context.recorder = partial(self._record, span)
        elif self._has_features:
            context.recorder = getattr(span, "add_scalars", span.set_attributes)
        return span

    def _record(self, span: Span, attributes: Mapping[str, str | bool]) -> None:
        """Add the attributes of a feature to a span, with the caller as the settings show it."""
        shown = dict(attributes)
        if semconv.AUTH_PRINCIPAL in shown:
            identity = shown_principal(
                str(shown.pop(semconv.AUTH_PRINCIPAL)), self._manager.settings.principal
            )
            if identity is not None:
                shown[semconv.AUTH_PRINCIPAL] = identity
        span.set_attributes(shown)

    def _end(self, context: RequestContext, error: ServiceError | None) -> None:
        span = context.span
        if span is not None:
            end_span(span, error)
        self._count(context.age, error, None if span is None else context.otel_context)

    def _count(self, elapsed: int, error: ServiceError | None, sampled_in: Context | None) -> None:
        seconds = elapsed / _NANOSECONDS_PER_SECOND
        self._record_duration(seconds, self._outcome(error), sampled_in)

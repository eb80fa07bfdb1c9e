"""The spans and metrics of one operation where it is served: SERVER."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel
from opentelemetry.trace import SpanKind

from weenats.telemetry import semconv
from weenats.telemetry.manager import fail
from weenats.telemetry.propagation import extract_trace_context, in_context

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from weenats.context import RequestContext
    from weenats.contract import AnyOperation
    from weenats.errors import ServiceError
    from weenats.protocol.subjects import Kind
    from weenats.telemetry.manager import Attributes, TelemetryManager
    from weenats.transport.base import Delivery

_NANOSECONDS_PER_SECOND: Final = 1e9


class Calls:
    """What both sides of a call have in common; whatever can be made once is made here.

    Args:
        manager: whose settings hold.
        name: of its spans, `{service}/{operation}`.
        kind: of the message, for sampling.
        subject: where requests go.
        action: `messaging.operation.name` and `messaging.operation.type`.
    """

    def __init__(
        self,
        manager: TelemetryManager,
        name: str,
        kind: Kind,
        subject: str,
        action: tuple[str, str],
    ) -> None:
        self.name = name
        self._manager = manager
        self._kind = kind
        # OK until something else is known: most requests never pay for a second look.
        self._rpc: Attributes = {
            semconv.RPC_SYSTEM: semconv.NATS,
            semconv.RPC_METHOD: name,
            semconv.RPC_STATUS: semconv.OK,
        }
        self._outcomes: dict[str, Attributes] = {}
        self._attributes: Attributes = dict(self._rpc)
        level = manager.settings.attributes
        self._tells_features = level != "minimal"
        if self._tells_features:
            self._attributes |= {
                semconv.SYSTEM: semconv.NATS,
                semconv.OPERATION_NAME: action[0],
                semconv.OPERATION_TYPE: action[1],
                semconv.DESTINATION: subject,
            }
        if level == "full":
            self._attributes |= {
                semconv.OWN_SUBJECT: subject,
                semconv.ENVIRONMENT: manager.settings.environment,
            }

    def _outcome(self, error: ServiceError | None) -> Attributes:
        """Return the attributes of a metric; there is one set for each code."""
        code = semconv.OK if error is None else error.code.value
        attributes = self._outcomes.get(code)
        if attributes is None:
            failure = {} if error is None else failure_of(error)
            attributes = self._outcomes[code] = {**self._rpc, **failure}
        return attributes


class ServedOperation(Calls):
    """The SERVER spans and durations of an operation.

    A span is started with all its attributes at once, since each later one costs as much as several
    of these; so it is started when somebody else than the runtime could look at it, with the time
    of arrival as its start. What refuses a request before that is told with it.

    Args:
        manager: whose settings hold.
        operation: what is served.
        queue_group: with whom its requests are shared.
        features: the attributes of the features that stand around it, as they are on most requests.
    """

    def __init__(
        self,
        manager: TelemetryManager,
        operation: AnyOperation,
        queue_group: str,
        features: Attributes,
    ) -> None:
        name, subject = f"{operation.contract.name}/{operation.name}", operation.subject
        super().__init__(manager, name, operation.kind, subject, ("process", "process"))
        self._duration = manager.histogram(semconv.SERVER_DURATION, "Duration of served calls.")
        level = manager.settings.attributes
        self._authenticates = (
            features.get(semconv.FEATURE_AUTH) == "enabled" and self._tells_features
        )
        if self._tells_features:
            self._attributes |= {semconv.CONSUMER_GROUP: queue_group, **features}
        if level == "full":
            self._attributes[semconv.OWN_QUEUE_GROUP] = queue_group

    def begin(self, context: RequestContext, *, judged: bool = True) -> None:
        """Start the span of a request, and make it the current one of its task.

        Args:
            context: the request.
            judged: whether it is known who calls; else `identify` tells it.
        """
        if not self._manager.traces:
            return
        parent = extract_trace_context(context.headers)
        span = self._manager.unsampled(parent, self._kind)
        if span is None:
            attributes = self._of(context, judged=judged)
            span = context.span = self._record(parent, context.arrival, attributes, context)
        context.otel_context = in_context(span, parent)
        otel.attach(context.otel_context)  # the task of the request ends with it

    def identify(self, context: RequestContext) -> None:
        """Tell who calls on a span that began before it was known."""
        span = context.span
        if self._authenticates and span is not None and span.is_recording():
            span.set_attributes(self._caller(context))

    def end(
        self,
        context: RequestContext | None,
        delivery: Delivery,
        arrival: int,
        error: ServiceError | None,
    ) -> None:
        """End the span of a request, and count it; where it was refused early, it begins here."""
        if context is None or context.otel_context is None:
            if self._manager.traces:
                self._tell(context, delivery, arrival, error)
        elif context.span is not None:
            if decided := self._decided(context, error):
                context.span.set_attributes(decided)
            if error is not None:
                fail(context.span, error)
            context.span.end()
        elapsed = max(time_ns() - arrival, 0)  # somebody may have set the clock back
        self._duration.record(elapsed / _NANOSECONDS_PER_SECOND, self._outcome(error))

    def _tell(
        self,
        context: RequestContext | None,
        delivery: Delivery,
        arrival: int,
        error: ServiceError | None,
    ) -> None:
        """Tell of a request that did not come to its handler."""
        parent = extract_trace_context(delivery.headers)
        if self._manager.unsampled(parent, self._kind) is not None:
            return
        attributes = {} if context is None else self._of(context, judged=True)
        attributes |= self._decided(context, error)
        span = self._record(parent, arrival, attributes, context)
        if error is not None:
            fail(span, error)
        span.end()

    def _record(
        self,
        parent: Context,
        arrival: int,
        attributes: Attributes,
        context: RequestContext | None,
    ) -> Span:
        """Start a span, with what happened before."""
        attributes = self._attributes | attributes
        if context is not None:
            attributes |= context.span_attributes
        span = self._manager.record(self.name, SpanKind.SERVER, attributes, parent, arrival or None)
        if context is not None:
            for name, details in context.span_events:
                span.add_event(name, details)
        return span

    def _decided(self, context: RequestContext | None, error: ServiceError | None) -> Attributes:
        """Return how a request ended, and what the features had to do with it."""
        attributes: Attributes = {} if error is None else failure_of(error)
        if context is not None and self._tells_features:
            attributes |= context.features
        return attributes

    def _of(self, context: RequestContext, *, judged: bool) -> Attributes:
        """Return the attributes of one request."""
        attributes = self._manager.correlation(context)
        if self._authenticates and judged:
            attributes |= self._caller(context)
        if self._manager.settings.attributes == "full":
            attributes[semconv.BODY_SIZE] = context.size
        return attributes

    def _caller(self, context: RequestContext) -> Attributes:
        attributes: Attributes = {}
        principal = context.principal
        if principal is not None:
            attributes[semconv.AUTH_STATUS] = "success"
            shown = self._manager.principal(principal.id)
            if shown is not None:
                attributes[semconv.AUTH_PRINCIPAL] = shown
        else:
            attributes[semconv.AUTH_STATUS] = (
                "token_not_provided" if context.token is None else "failure"
            )
        if context.token is not None:
            attributes[semconv.AUTH_METHOD] = "jwt"
        return attributes


def failure_of(error: ServiceError) -> Attributes:
    """Return the attributes that tell of a failure."""
    return {semconv.RPC_STATUS: error.code.value, semconv.ERROR_TYPE: error.code.value}

"""The spans and metrics of one operation: SERVER where it is served, CLIENT where it is called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel

from weenats.context import CURRENT
from weenats.errors import CancelledError, InternalError, ServiceError
from weenats.propagation import extract_trace_context, header_lines, in_context
from weenats.retry import ATTEMPT
from weenats.telemetry import names
from weenats.telemetry.manager import Attributes, fail

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from weenats.context import RequestContext, Response
    from weenats.contract import AnyOperation
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport import Delivery

Send = Callable[["RequestContext", bytes], Awaitable["Response"]]
_NANOSECONDS_PER_SECOND: Final = 1e9


class _Operation:
    """What both sides have in common; whatever can be made once is made here."""

    def __init__(self, manager: TelemetryManager, operation: AnyOperation) -> None:
        self.name = f"{operation.contract.name}/{operation.name}"
        self._manager = manager
        self._kind = operation.kind
        # OK until something else is known: most requests never pay for a second look.
        self._rpc: Attributes = {
            names.RPC_SYSTEM: names.NATS,
            names.RPC_METHOD: self.name,
            names.RPC_STATUS: names.OK,
        }
        self._outcomes: dict[str, Attributes] = {}

    def _static(self, operation: AnyOperation, action: str, kind: str) -> Attributes:
        level = self._manager.settings.attributes
        attributes = dict(self._rpc)
        if level != "minimal":
            attributes |= {
                names.SYSTEM: names.NATS,
                names.OPERATION_NAME: action,
                names.OPERATION_TYPE: kind,
                names.DESTINATION: operation.subject,
            }
        if level == "full":
            attributes |= {
                names.OWN_SUBJECT: operation.subject,
                names.ENVIRONMENT: self._manager.settings.environment,
            }
        return attributes

    def _outcome(self, error: ServiceError | None) -> Attributes:
        """Return the attributes of a metric; there is one set for each code."""
        code = names.OK if error is None else error.code.value
        attributes = self._outcomes.get(code)
        if attributes is None:
            failure = {} if error is None else _failure(error)
            attributes = self._outcomes[code] = {**self._rpc, **failure}
        return attributes


class ServedOperation(_Operation):
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
        super().__init__(manager, operation)
        self._duration = manager.histogram(names.SERVER_DURATION, "Duration of served calls.")
        self._attributes = self._static(operation, "process", "process")
        self._authenticates = features.get(names.FEATURE_AUTH) == "enabled"
        level = manager.settings.attributes
        if level != "minimal":
            self._attributes |= {names.CONSUMER_GROUP: queue_group, **features}
        if level == "full":
            self._attributes[names.OWN_QUEUE_GROUP] = queue_group

    def begin(self, context: RequestContext) -> None:
        """Start the span of a request, and make it the current one of its task."""
        if not self._manager.traces:
            return
        parent = extract_trace_context(context.headers)
        span = self._manager.unsampled(parent, self._kind)
        if span is None:
            span = context.span = self._start(parent, context.arrival, self._of(context))
        context.otel_context = in_context(span, parent)
        otel.attach(context.otel_context)  # the task of the request ends with it

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
            if error is not None:
                context.span.set_attributes(_failure(error))
                fail(context.span, error)
            context.span.end()
        seconds = (time_ns() - arrival) / _NANOSECONDS_PER_SECOND
        self._duration.record(seconds, self._outcome(error))

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
        attributes = {} if context is None else self._of(context)
        if error is not None:
            attributes |= _failure(error)
        span = self._start(parent, arrival, attributes)
        if error is not None:
            fail(span, error)
        if context is not None:
            for name, details in context.span_events:
                span.add_event(name, details)
        span.end()

    def _start(self, parent: Context, arrival: int, attributes: Attributes) -> Span:
        attributes = self._attributes | attributes
        return self._manager.start_message_span(
            self.name, self._kind, attributes, parent, arrival or None
        )

    def _of(self, context: RequestContext) -> Attributes:
        """Return the attributes of one request."""
        attributes = self._manager.correlation(context)
        if not attributes:
            return attributes
        if self._authenticates:
            self._add_caller(attributes, context)
        if self._manager.settings.attributes == "full":
            attributes[names.BODY_SIZE] = context.size
        return attributes

    def _add_caller(self, attributes: Attributes, context: RequestContext) -> None:
        principal = context.principal
        if principal is not None:
            attributes[names.AUTH_STATUS] = "success"
            shown = self._manager.principal(principal.id)
            if shown is not None:
                attributes[names.AUTH_PRINCIPAL] = shown
        else:
            attributes[names.AUTH_STATUS] = (
                "token_not_provided" if context.token is None else "failure"
            )
        if context.token is not None:
            attributes[names.AUTH_METHOD] = "jwt"


class CalledOperation(_Operation):
    """The CLIENT spans and durations of an operation."""

    def __init__(self, manager: TelemetryManager, operation: AnyOperation) -> None:
        super().__init__(manager, operation)
        self._duration = manager.histogram(names.CLIENT_DURATION, "Duration of calls.")
        self._attributes = self._static(operation, "request", "send")

    async def call(
        self, context: RequestContext, send: Send, server: tuple[str, int] | None
    ) -> Response:
        """Send a request within a span of its own, which goes along in its headers."""
        span, lines = self._begin(context, server)
        started = perf_counter()
        error: ServiceError | None = None
        try:
            return await send(context, lines)
        except ServiceError as failure:
            error = failure
            raise
        except asyncio.CancelledError:
            error = CancelledError()
            raise
        except BaseException:
            error = InternalError()
            raise
        finally:
            if span is not None:
                if error is not None:
                    span.set_attributes(_failure(error))
                    fail(span, error)
                span.end()
            self._duration.record(perf_counter() - started, self._outcome(error))

    def _begin(
        self, context: RequestContext, server: tuple[str, int] | None
    ) -> tuple[Span | None, bytes]:
        """Return the span when one is recorded, and the header lines that carry the trace on."""
        if not self._manager.traces:
            return None, b""
        parent = otel.get_current()
        served = CURRENT.get()
        if not parent and served is not None:
            # Served without telemetry of its own: the trace that came goes on.
            parent = extract_trace_context(served.headers)
        unsampled = self._manager.unsampled(parent, self._kind)
        if unsampled is not None:
            return None, header_lines(unsampled.get_span_context(), parent)
        attributes = self._attributes | self._manager.correlation(context)
        if server is not None:
            attributes[names.SERVER_ADDRESS], attributes[names.SERVER_PORT] = server
        if ATTEMPT in context:
            attributes[names.ATTEMPT] = context[ATTEMPT]
        span = self._manager.start_request_span(self.name, self._kind, attributes, parent)
        return span, header_lines(span.get_span_context(), parent)


def _failure(error: ServiceError) -> Attributes:
    return {names.RPC_STATUS: error.code.value, names.ERROR_TYPE: error.code.value}

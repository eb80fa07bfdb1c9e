"""The spans and metrics of one operation: SERVER where it is served, CLIENT where it is called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel
from opentelemetry.context import Context

from weenats.context import CURRENT
from weenats.errors import CancelledError, InternalError, ServiceError
from weenats.retry import ATTEMPT
from weenats.telemetry import names
from weenats.telemetry.manager import Attributes, current, fail
from weenats.telemetry.propagation import extract_trace_context, header_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span

    from weenats.context import RequestContext, Response
    from weenats.contract import AnyOperation
    from weenats.telemetry.manager import TelemetryManager

Send = Callable[["RequestContext", bytes], Awaitable["Response"]]
_NANOSECONDS_PER_SECOND: Final = 1e9
_NO_CONTEXT: Final = Context()


class _Operation:
    """What both sides have in common; whatever can be made once is made here."""

    def __init__(self, manager: TelemetryManager, operation: AnyOperation) -> None:
        self.name = f"{operation.contract.name}/{operation.name}"
        self._manager = manager
        self._kind = operation.kind
        self._rpc: Attributes = {names.RPC_SYSTEM: names.NATS, names.RPC_METHOD: self.name}
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
            attributes = self._outcomes[code] = {**self._rpc, **_status(error)}
        return attributes


class ServedOperation(_Operation):
    """The SERVER spans and durations of an operation.

    Args:
        manager: whose settings hold.
        operation: what is served.
        queue_group: with whom its requests are shared.
        authenticates: whether callers are asked who they are.
    """

    def __init__(
        self,
        manager: TelemetryManager,
        operation: AnyOperation,
        queue_group: str,
        *,
        authenticates: bool,
    ) -> None:
        super().__init__(manager, operation)
        self._authenticates = authenticates
        self._duration = manager.histogram(names.SERVER_DURATION, "Duration of served calls.")
        self._attributes = self._static(operation, "process", "process")
        level = manager.settings.attributes
        if level != "minimal":
            self._attributes |= {
                names.CONSUMER_GROUP: queue_group,
                names.FEATURE_AUTH: "enabled" if authenticates else "disabled",
            }
        if level == "full":
            self._attributes[names.OWN_QUEUE_GROUP] = queue_group

    def begin(self, context: RequestContext, received: int, size: int) -> Span | None:
        """Start the span of a request that arrived at that time, and make it the current one.

        None while nobody takes spans.
        """
        if not self._manager.traces:
            return None
        headers = context.headers
        span, parent = self._start(headers, received, size, self._manager.correlation(context))
        context.otel_context = current(span, parent)
        otel.attach(context.otel_context)  # the task of the request ends with it
        if span.is_recording():
            context.span = span
        return span

    def end(
        self,
        span: Span | None,
        context: RequestContext | None,
        elapsed: int,
        error: ServiceError | None,
    ) -> None:
        """End the span of a request that took so many ns, and count it."""
        if span is not None:
            if span.is_recording():
                attributes = _status(error)
                if context is not None and self._authenticates:
                    self._add_caller(attributes, context)
                span.set_attributes(attributes)
                if error is not None:
                    fail(span, error)
            span.end()
        self._duration.record(elapsed / _NANOSECONDS_PER_SECOND, self._outcome(error))

    def refuse(
        self,
        headers: Mapping[str, str],
        received: int,
        size: int,
        elapsed: int,
        error: ServiceError,
    ) -> None:
        """Tell of a request that never came to its handler's chain."""
        span = self._start(headers, received, size, {})[0] if self._manager.traces else None
        self.end(span, None, elapsed, error)

    def _start(
        self, headers: Mapping[str, str], received: int, size: int, ids: Attributes
    ) -> tuple[Span, Context]:
        parent = extract_trace_context(headers)
        attributes = self._attributes | ids
        if self._manager.settings.attributes == "full":
            attributes[names.BODY_SIZE] = size
        return (
            self._manager.start_message_span(self.name, self._kind, attributes, parent, received),
            parent,
        )

    def _add_caller(self, attributes: Attributes, context: RequestContext) -> None:
        if self._manager.settings.attributes == "minimal":
            return
        principal = context.principal
        if principal is not None:
            status = "success"
            shown = self._manager.principal(principal.id)
            if shown is not None:
                attributes[names.AUTH_PRINCIPAL] = shown
        elif context.token is None:
            status = "token_not_provided"
        else:
            status = "failure"
        attributes[names.AUTH_STATUS] = status
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
        span, parent = self._begin(context, server)
        lines = b"" if span is None else header_lines(span.get_span_context(), parent)
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
            self._end(span, perf_counter() - started, error)

    def _begin(
        self, context: RequestContext, server: tuple[str, int] | None
    ) -> tuple[Span | None, Context]:
        if not self._manager.traces:
            return None, _NO_CONTEXT
        attributes = self._attributes | self._manager.correlation(context)
        if server is not None:
            attributes[names.SERVER_ADDRESS], attributes[names.SERVER_PORT] = server
        if ATTEMPT in context:
            attributes[names.ATTEMPT] = context[ATTEMPT]
        parent = otel.get_current()
        served = CURRENT.get()
        if not parent and served is not None:
            # Served without telemetry of its own: the trace that came goes on.
            parent = extract_trace_context(served.headers)
        return self._manager.start_request_span(self.name, self._kind, attributes, parent), parent

    def _end(self, span: Span | None, seconds: float, error: ServiceError | None) -> None:
        if span is not None:
            if span.is_recording():
                span.set_attributes(_status(error))
                if error is not None:
                    fail(span, error)
            span.end()
        self._duration.record(seconds, self._outcome(error))


def _status(error: ServiceError | None) -> Attributes:
    if error is None:
        return {names.RPC_STATUS: names.OK}
    return {names.RPC_STATUS: error.code.value, names.ERROR_TYPE: error.code.value}

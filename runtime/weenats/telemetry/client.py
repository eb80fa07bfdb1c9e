"""Telemetry of the calls of a client: CLIENT spans and durations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from opentelemetry import context as otel
from opentelemetry.trace import SpanKind

from weenats.context import ATTEMPT
from weenats.errors import CancelledError, InternalError, ServiceError
from weenats.protocol import subjects
from weenats.protocol.subjects import Kind
from weenats.telemetry import semconv
from weenats.telemetry.manager import current_parent
from weenats.telemetry.propagation import header_lines, unsampled_lines
from weenats.telemetry.recording import CallRecorder, Recording, end_span

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from weenats.context import RequestContext, Response
    from weenats.contract import AnyOperation
    from weenats.interceptors import CallNext, Interceptor
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport.base import Transport

__all__ = ["ClientTelemetry", "OutgoingCalls"]


class ClientTelemetry:
    """The telemetry of a client: one CLIENT span and one duration for each attempt of a call.

    Args:
        manager: starts spans and creates instruments.
        transport: the connection, for the address of the server.
    """

    def __init__(self, manager: TelemetryManager, transport: Transport) -> None:
        self.manager = manager
        self._transport = transport
        self._calls: dict[str, OutgoingCalls] = {}

    def interceptor(self, operation: AnyOperation) -> Interceptor:
        """Return the interceptor that records the calls of an operation.

        Args:
            operation: the operation.
        """
        name = f"{operation.contract.name}/{operation.label}"
        return self._named(name, operation.kind, operation.subject)

    def discovery(self, service: str, verb: str) -> Recording:
        """Return the recording of a discovery request.

        Args:
            service: the name of the service.
            verb: PING, INFO, STATS, HEALTH or CONTRACT.
        """
        own = {"HEALTH": subjects.health, "CONTRACT": subjects.contract}.get(verb)
        subject = subjects.discovery(verb, service) if own is None else own(service)
        return self._named(f"{service}/${verb}", Kind.QUERY, subject).record(None)

    def _named(self, name: str, kind: Kind, subject: str) -> OutgoingCalls:
        if name not in self._calls:
            calls = OutgoingCalls(self.manager, name, kind, subject, self._transport)
            self._calls[name] = calls
        return self._calls[name]


class OutgoingCalls(CallRecorder):
    """Records the calls of one operation, or the discovery requests with one verb.

    Args:
        manager: starts spans and creates instruments.
        name: the name of the spans, `{service}/{operation}`.
        kind: the kind of message, for sampling.
        subject: the subject of the requests.
        transport: the connection, for the address of the server.
    """

    def __init__(
        self, manager: TelemetryManager, name: str, kind: Kind, subject: str, transport: Transport
    ) -> None:
        super().__init__(manager, name, kind, subject, ("request", "send"))
        self._transport = transport
        self._record_duration = manager.durations(semconv.CLIENT_DURATION, "Duration of calls.")

    async def __call__(self, context: RequestContext, call_next: CallNext, /) -> Response:
        """Record an attempt of a call, and set the `context.trace_headers` to send.

        Args:
            context: the request.
            call_next: makes the attempt.

        Returns:
            The response.
        """
        with self.record(context) as context.trace_headers:
            return await call_next(context)

    def record(self, context: RequestContext | None) -> Recording:
        """Return the recording of a call or of a discovery request.

        Args:
            context: the request; None for a discovery request.
        """
        if not self._manager.traces:
            return Recording(self._end, None)
        parent = current_parent()
        unsampled = self._manager.unsampled(parent, self._kind)
        if unsampled is not None:
            headers = unsampled_lines(unsampled, parent)
            return Recording(self._end, None, headers)
        attributes = dict(self._attributes)
        if context is not None:
            attributes |= self._manager.correlation(context)
            if self._has_features and ATTEMPT in context:
                attributes[semconv.ATTEMPT] = context[ATTEMPT]
        server = self._transport.server_address
        if server is not None:
            attributes[semconv.SERVER_ADDRESS], attributes[semconv.SERVER_PORT] = server
        span = self._manager.record(self.name, SpanKind.CLIENT, attributes, parent)
        if semconv.ATTEMPT in attributes:
            span.add_event(semconv.RETRIED)
        return Recording(self._end, span, header_lines(span.get_span_context(), parent))

    def _end(self, span: Span | None, seconds: float, raised: BaseException | None) -> None:
        error = None if raised is None else _service_error(raised)
        if span is not None:
            end_span(span, error)
        sampled_in = None if span is None else otel.get_current()
        self._record_duration(seconds, self._outcome(error), sampled_in)


def _service_error(error: BaseException) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    return CancelledError() if isinstance(error, asyncio.CancelledError) else InternalError()

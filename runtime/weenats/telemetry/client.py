"""The spans and metrics of calls where they are made: CLIENT."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from opentelemetry.trace import SpanKind

from weenats.context import ATTEMPT, RequestContext
from weenats.errors import CancelledError, InternalError, ServiceError
from weenats.telemetry import semconv
from weenats.telemetry.manager import current_parent, fail
from weenats.telemetry.propagation import header_lines
from weenats.telemetry.server import Calls, failure_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from weenats.contract import AnyOperation
    from weenats.protocol.subjects import Kind
    from weenats.telemetry.manager import TelemetryManager

ContextT = TypeVar("ContextT", RequestContext, None)
AnswerT = TypeVar("AnswerT")
Send = Callable[[ContextT, bytes], Awaitable[AnswerT]]
"""Sends a request with the header lines that carry its trace on."""


class OutgoingCalls(Calls):
    """The CLIENT spans and durations of the calls by one name."""

    def __init__(self, manager: TelemetryManager, name: str, kind: Kind, subject: str) -> None:
        super().__init__(manager, name, kind, subject, ("request", "send"))
        self._duration = manager.histogram(semconv.CLIENT_DURATION, "Duration of calls.")

    @classmethod
    def of(cls, manager: TelemetryManager, operation: AnyOperation) -> OutgoingCalls:
        """Return those of an operation."""
        name = f"{operation.contract.name}/{operation.name}"
        return cls(manager, name, operation.kind, operation.subject)

    async def call(
        self, context: ContextT, send: Send[ContextT, AnswerT], server: tuple[str, int] | None
    ) -> AnswerT:
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
                    span.set_attributes(failure_of(error))
                    fail(span, error)
                span.end()
            self._duration.record(perf_counter() - started, self._outcome(error))

    def _begin(
        self, context: RequestContext | None, server: tuple[str, int] | None
    ) -> tuple[Span | None, bytes]:
        """Return the span when one is recorded, and the header lines that carry the trace on."""
        if not self._manager.traces:
            return None, b""
        parent = current_parent()
        unsampled = self._manager.unsampled(parent, self._kind)
        if unsampled is not None:
            return None, header_lines(unsampled.get_span_context(), parent)
        attributes = dict(self._attributes)
        if context is not None:
            attributes |= self._manager.correlation(context)
            if self._has_features and ATTEMPT in context:
                attributes[semconv.ATTEMPT] = context[ATTEMPT]
        if server is not None:
            attributes[semconv.SERVER_ADDRESS], attributes[semconv.SERVER_PORT] = server
        span = self._manager.record(self.name, SpanKind.CLIENT, attributes, parent)
        if semconv.ATTEMPT in attributes:
            span.add_event(semconv.RETRIED)
        return span, header_lines(span.get_span_context(), parent)

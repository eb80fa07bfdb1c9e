"""One operation of a running service: from a delivered message to its reply."""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial
from itertools import takewhile
from time import monotonic, perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from weenats._internal.validation import check_async
from weenats.admission.job import Job
from weenats.auth.interceptor import AuthInterceptor
from weenats.codec import ContractBreachError, OperationCodec, Request, encode_failure
from weenats.context import CURRENT, NO_CONTEXT, RequestContext, Response
from weenats.discovery import EndpointCounters
from weenats.errors import (
    CancelledError,
    InternalError,
    InvalidArgumentError,
    MessageTooLargeError,
    ServiceError,
)
from weenats.interceptors import CallNext, Interceptor, chain, result_of
from weenats.protocol import headers as header_names
from weenats.protocol.deadline import from_header
from weenats.protocol.identifiers import STAMPER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from weenats.admission.controller import Admission
    from weenats.circuit_breaker import HandlerGuard
    from weenats.contract import AnyOperation, Command, Query
    from weenats.telemetry.server import ServedOperation
    from weenats.transport.base import Delivery, Transport

_LOG: Final = logging.getLogger("weenats.service")
_NANOSECONDS_PER_MILLISECOND: Final = 1e6
_MAX_HEADER_TEXT: Final = 200
_NO_CORRELATION: Final[dict[str, str]] = {}
PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")


class Endpoint:
    """An operation and the handler that serves it; generated skeletons list theirs."""

    __slots__ = ("handler", "operation")

    def __init__(
        self, operation: AnyOperation, handler: Callable[[RequestContext], Awaitable[object]]
    ) -> None:
        self.operation = operation
        self.handler = handler

    @classmethod
    def command(
        cls,
        operation: Command[PayloadT, ResultT],
        handler: Callable[[str, PayloadT, RequestContext], Awaitable[ResultT]],
    ) -> Endpoint:
        """Serve a command.

        Raises:
            TypeError: the handler is not async; so too below.
        """
        _check(operation, handler)
        return cls(operation, _taking_payload(handler))

    @classmethod
    def query(
        cls,
        operation: Query[PayloadT, ResultT],
        handler: Callable[[str, PayloadT, RequestContext], Awaitable[ResultT]],
    ) -> Endpoint:
        """Serve a query that takes parameters."""
        _check(operation, handler)
        return cls(operation, _taking_payload(handler))

    @classmethod
    def plain_query(
        cls,
        operation: Query[None, ResultT],
        handler: Callable[[str, RequestContext], Awaitable[ResultT]],
    ) -> Endpoint:
        """Serve a query without parameters."""
        _check(operation, handler)
        return cls(operation, lambda context: handler(context.key, context))


class EndpointRunner:
    """Serves the requests of one endpoint: every one is answered once, whatever happens."""

    def __init__(  # noqa: PLR0913 - what a request meets on its way
        self,
        endpoint: Endpoint,
        transport: Transport,
        interceptors: Iterable[Interceptor],
        admission: Admission,
        *,
        guard: HandlerGuard | None = None,
        telemetry: ServedOperation | None = None,
    ) -> None:
        self.operation = endpoint.operation
        self.counters = EndpointCounters()
        self._transport = transport
        self._admission = admission
        self._codec = OperationCodec(endpoint.operation)
        self._handler = endpoint.handler
        self._telemetry = telemetry
        innermost = self._handle if guard is None else _guarded(endpoint.handler, guard)
        self._call = self._chain(tuple(interceptors), innermost)

    def _chain(self, interceptors: tuple[Interceptor, ...], innermost: CallNext) -> CallNext:
        """Compose the chain; the span begins before the first that is not our own."""
        if self._telemetry is None:
            return chain(interceptors, innermost)
        own = list(takewhile(_is_own, interceptors))
        rest: list[Interceptor] = []
        judged = True
        for interceptor in interceptors[len(own) :]:
            if isinstance(interceptor, AuthInterceptor):
                judged = False
                identify = self._telemetry.identify
                rest += [_telling_of_failure(identify), interceptor, _telling(identify)]
            else:
                rest.append(interceptor)
        begin = self._telemetry.begin if judged else partial(self._telemetry.begin, judged=False)
        return chain([*own, _telling(begin), *rest], innermost)

    def on_delivery(self, delivery: Delivery) -> None:
        """Admit a request, or refuse it at once."""
        job = Job(self, delivery)
        if self._telemetry is not None:
            job.received = time_ns()
        if not delivery.reply:
            _LOG.warning("a request on %s named no reply subject and was dropped", delivery.subject)
            self._count(job, 0, InvalidArgumentError())
            return
        timeout = delivery.timeout
        if timeout is not None:
            try:
                job.deadline = from_header(timeout)
            except InvalidArgumentError as error:
                self.refuse(job, error)
                return
        elif self.operation.timeout is not None:
            job.deadline = monotonic() + self.operation.timeout
        self._admission.submit(job)

    async def run(self, job: Job) -> None:
        """Serve one request and answer it."""
        started = perf_counter_ns()
        context = None
        try:
            request = self._codec.decode_request(job.delivery.payload)
            context = job.context = _context(self.operation, request, job)
            context.arrival, context.size = job.received, len(job.delivery.payload)
            CURRENT.set(context)
            result = result_of(await self._call(context))
            elapsed = perf_counter_ns() - started
            reply = self._codec.encode_success(
                result, elapsed / _NANOSECONDS_PER_MILLISECOND, context
            )
        except asyncio.CancelledError:
            # When it is the deadline or a stop that cancelled, the caller has its answer already.
            self._answer_failure(
                job, CancelledError("the service cancelled the request"), started, context
            )
        except Exception as error:  # noqa: BLE001 - every request is answered, whatever a handler raises
            self._answer_failure(job, self._told(error), started, context)
        except BaseException:  # SystemExit and the like end the process, but not without a word
            self._answer_failure(job, InternalError(), started, context)
            raise
        else:
            self._answer(job, reply, elapsed)

    def refuse(self, job: Job, error: ServiceError) -> None:
        """Answer a request that cannot be run or finished."""
        self._send_failure(job.delivery.reply, error, 0, None)
        self._count(job, 0, error)

    async def _handle(self, context: RequestContext) -> Response:
        CURRENT.set(context)  # an interceptor may have handed on a replaced one
        return Response(await self._handler(context))

    def _told(self, error: Exception) -> ServiceError:
        """Return what the caller is told of an exception.

        The log has all of what it is not told.
        """
        if isinstance(error, ServiceError) and self._codec.declares(error):
            return error
        if isinstance(error, ContractBreachError):
            _LOG.error(
                "%s broke its contract: %s", self.operation.subject, error, exc_info=error.__cause__
            )
        elif isinstance(error, ServiceError):
            _LOG.error(
                "%s raised %s, which its contract does not declare",
                self.operation.subject,
                error.label,
                exc_info=error,
            )
        else:
            _LOG.error("%s failed", self.operation.subject, exc_info=error)
        return InternalError()

    def _answer(self, job: Job, reply: bytes, elapsed: int) -> None:
        if job.answered:
            return
        job.answered = True
        try:
            self._transport.publish(job.delivery.reply, reply)
        except MessageTooLargeError:
            text = (
                f"the reply of {self.operation.subject} has {len(reply)} bytes, the NATS server"
                f" carries at most {self._transport.max_payload}; the request was executed"
            )
            _LOG.error("%s", text)
            self._send_failure(job.delivery.reply, MessageTooLargeError(text), elapsed, None)
            self._count(job, elapsed, MessageTooLargeError())
        except ServiceError as error:
            _LOG.warning("%s could not be answered: %s", self.operation.subject, error)
            self._count(job, elapsed, error)
        else:
            self._count(job, elapsed, None)

    def _answer_failure(
        self, job: Job, error: ServiceError, started: int, context: RequestContext | None
    ) -> None:
        if job.answered:
            return
        job.answered = True
        elapsed = perf_counter_ns() - started
        self._send_failure(job.delivery.reply, error, elapsed, context)
        self._count(job, elapsed, error)

    def _count(self, job: Job, elapsed: int, error: ServiceError | None) -> None:
        """Tell statistics and telemetry of a request that has ended, once."""
        self.counters.count(elapsed, error)
        if self._telemetry is not None:
            self._telemetry.end(job.context, job.delivery, job.received, error)
        job.context = None  # else both would hold each other

    def _send_failure(
        self, reply: str, error: ServiceError, elapsed: int, context: RequestContext | None
    ) -> None:
        duration = elapsed / _NANOSECONDS_PER_MILLISECOND
        try:
            try:
                self._publish_failure(reply, error, duration, context)
            except (MessageTooLargeError, TypeError, ValueError) as failure:
                _LOG.warning(
                    "the error of %s cannot be sent whole: %s", self.operation.subject, failure
                )
                whole = failure if isinstance(failure, MessageTooLargeError) else InternalError()
                self._publish_failure(reply, whole, duration, None)
        except ServiceError as failure:
            _LOG.warning("the error of %s cannot be sent: %s", self.operation.subject, failure)

    def _publish_failure(
        self, reply: str, error: ServiceError, duration: float, context: RequestContext | None
    ) -> None:
        self._transport.publish(
            reply, encode_failure(error, duration, context), _error_headers(error)
        )


def _guarded(
    handler: Callable[[RequestContext], Awaitable[object]], guard: HandlerGuard
) -> CallNext:
    """Return the innermost step with a circuit breaker in it, in one coroutine."""

    async def handle(context: RequestContext) -> Response:
        CURRENT.set(context)
        call = guard.admit()
        try:
            result = await handler(context)
        except BaseException as error:
            guard.raised(call, error, context)
            raise
        guard.succeeded(call)
        return Response(result)

    return handle


def _is_own(interceptor: Interceptor) -> bool:
    """Say whether an interceptor is the runtime's: those tell the span that starts after them."""
    return type(interceptor).__module__.startswith("weenats.")


def _telling(tell: Callable[[RequestContext], None]) -> Interceptor:
    """Return a link of the chain that tells telemetry and goes on."""

    def told(context: RequestContext, call_next: CallNext) -> Awaitable[Response]:
        tell(context)
        return call_next(context)

    return told


def _telling_of_failure(tell: Callable[[RequestContext], None]) -> Interceptor:
    """Return a link of the chain that tells telemetry when what follows fails."""

    async def told(context: RequestContext, call_next: CallNext) -> Response:
        try:
            return await call_next(context)
        except BaseException:
            tell(context)
            raise

    return told


def _check(operation: AnyOperation, handler: object) -> None:
    check_async(handler, f"the handler of {operation.contract.name} {operation.name}")


def _taking_payload(
    handler: Callable[[str, PayloadT, RequestContext], Awaitable[ResultT]],
) -> Callable[[RequestContext], Awaitable[ResultT]]:
    return lambda context: handler(context.key, cast("PayloadT", context.payload), context)


def _context(operation: AnyOperation, request: Request, job: Job) -> RequestContext:
    metadata: dict[str, Any] | None = request.metadata
    if metadata is None:
        new_id, timestamp = STAMPER.stamp()
        metadata = {"messageId": new_id, "timestamp": timestamp}
    message_id: str = metadata["messageId"]
    correlation = metadata.get("correlation", _NO_CORRELATION)
    return RequestContext(
        side="server",
        operation=operation,
        key=request.key,
        payload=request.payload,
        payload_error=request.payload_error,
        message_id=message_id,
        timestamp=metadata["timestamp"],
        correlation_id=correlation.get("correlationId", message_id),
        causation_id=correlation.get("causationId"),
        token=metadata["authentication"]["token"] if "authentication" in metadata else None,
        metadata_context=metadata.get("context", NO_CONTEXT),
        headers=job.delivery.headers,
        deadline=job.deadline,
        work=job,
    )


def _error_headers(error: ServiceError) -> bytes:
    text = "".join(
        character if character.isprintable() else " "
        for character in error.message[:_MAX_HEADER_TEXT]
    )
    lines = {
        header_names.ERROR: text.strip() or error.code.value,
        header_names.ERROR_CODE: str(error.number),
    }
    if (retry_after := error.retry_after) is not None:
        lines[header_names.RETRY_AFTER] = str(math.ceil(round(retry_after * 1000, 3)))
    return header_names.encode(lines)

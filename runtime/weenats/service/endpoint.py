"""One operation of a running service: from the delivered message to the reply."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from time import monotonic_ns, perf_counter_ns
from traceback import walk_tb
from typing import TYPE_CHECKING, Final

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task
from weenats._internal.text import printable
from weenats._internal.tracebacks import release_frames
from weenats.admission.job import Job
from weenats.codec.failures import (
    broken_rule,
    encode_error_headers,
    encode_failure,
    without_key,
    without_text,
)
from weenats.codec.operations import ContractBreachError, operation_codec
from weenats.codec.violations import SchemaError
from weenats.context import CURRENT, NO_CONTEXT, RequestContext, Response, UnreadContext
from weenats.errors import (
    CancelledError,
    Code,
    InternalError,
    InvalidArgumentError,
    MessageTooLargeError,
    ServiceError,
    UnimplementedError,
)
from weenats.interceptors import Interceptor, chain, result_of, wrong_context
from weenats.protocol import headers as header_names
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.subjects import is_inbox
from weenats.protocol.timeouts import timeout_in
from weenats.service.discovery import EndpointCounters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from weenats.admission.controller import Admission
    from weenats.codec.requests import Metadata, Request
    from weenats.contract import AnyOperation
    from weenats.service.handlers import Endpoint
    from weenats.transport.base import Delivery, Transport

__all__ = ["EndpointRunner"]
_LOG: Final = LimitedLogger("weenats.service")
_NANOSECONDS_PER_MILLISECOND: Final = 1e6
_NANOSECONDS_PER_SECOND: Final = 1e9
_PACKAGE: Final = f"{Path(__file__).parents[1]}{os.sep}"
_OF_REQUESTS: Final = {
    Code.INVALID_ARGUMENT,
    Code.UNAUTHENTICATED,
    Code.PERMISSION_DENIED,
    Code.UNIMPLEMENTED,
    Code.INTERNAL,
}
"""The codes that say what is wrong with a request or a service, and nothing about its data."""
_NO_REPLY: Final = "a request on %s has no reply subject and was dropped"
_NO_INBOX: Final = "a request on %s was dropped, since its reply subject is no inbox: %s"
_TOO_LARGE: Final = (
    "the reply of %s has %d bytes, the NATS server carries at most %d; the request was executed"
)


class EndpointRunner:
    """Serves the requests of one endpoint; each request is answered exactly once.

    Args:
        endpoint: the operation and its handler.
        transport: the connection for replies.
        interceptors: the interceptors of the operation, the outermost first.
        admission: decides when requests run.
        on_refused: takes the message, the time of arrival and the error of each request that was
            refused before it entered the chain.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        transport: Transport,
        interceptors: Iterable[Interceptor],
        admission: Admission,
        on_refused: Callable[[Delivery, int, ServiceError], None],
    ) -> None:
        self.operation = endpoint.operation
        self.counters = EndpointCounters()
        self._transport = transport
        self._admission = admission
        self._on_refused = on_refused
        self._codec = operation_codec(endpoint.operation)
        self._handler = endpoint.handler
        self._is_large = endpoint.operation.large is not None
        self._logged_unimplemented = False
        members = tuple(interceptors)
        self._call = chain(members, self._handle) if members else None

    def on_delivery(self, delivery: Delivery) -> None:
        """Admit a request, or refuse it immediately.

        Args:
            delivery: the message.
        """
        received = monotonic_ns()
        job = Job(self, delivery, None, received)
        if not is_inbox(delivery.reply):
            if delivery.reply:
                _LOG.warning(_NO_INBOX, delivery.subject, printable(delivery.reply))
            else:
                _LOG.warning(_NO_REPLY, delivery.subject)
            self._count(job, 0, InvalidArgumentError())
            return
        try:
            timeout = timeout_in(delivery.block)
        except InvalidArgumentError as error:
            self.refuse(job, error)
            return
        if timeout is None:
            timeout = self.operation.timeout
        now = received / _NANOSECONDS_PER_SECOND  # `monotonic` would read the same clock again
        if timeout is not None:
            job.deadline = now + timeout
        self._admission.submit(job, now)

    async def run(self, job: Job) -> None:
        """Serve one request and answer it.

        Args:
            job: the admitted request.
        """
        started = perf_counter_ns()
        context = None
        try:
            request = self._codec.decode_request(job.delivery.payload)
            if (
                self._is_large or request.may_be_null
            ) and header_names.LARGE in job.delivery.headers:
                request.withhold(self._reason_to_withhold())
            context = job.context = _context(self.operation, request, job)
            if self._admission.cancelled:
                self._admission.check_cancelled(job)
            CURRENT.set(context)
            headers = b""
            if self._call is None:  # without interceptors, a Response would be made for nobody
                result = await self._begin(context)
            else:
                response = await self._call(context)
                result = result_of(response)
                headers = response.headers
            elapsed = perf_counter_ns() - started
            duration = elapsed / _NANOSECONDS_PER_MILLISECOND
            if headers:
                reply = self._codec.encode_stored(duration, context)
            else:
                reply = self._codec.encode_success(result, duration, context)
        except BaseException as error:  # every request is answered, whatever a handler raises
            if ends_task(error, job.task):
                self._answer_end(job, error, started, context)
                if isinstance(error, asyncio.CancelledError):
                    return
                raise
            self._fail(job, error, started, context)
        else:
            self._answer(job, reply, headers, elapsed)

    def _reason_to_withhold(self) -> Exception:
        """Return why the payload cannot be read that is in the object store."""
        if not self._is_large:  # else null, in its place, could be taken for it
            return InvalidArgumentError(
                f"the payload of {self.operation.name} is larger than a message, which this version"
                " of the contract does not allow"
            )
        return RuntimeError(
            "the payload of a large request is read after the interceptors: they cannot use it"
        )

    def refuse(self, job: Job, error: ServiceError) -> None:
        """Answer a request that cannot be run or finished.

        Args:
            job: the request.
            error: the error that the caller gets.
        """
        self._send_failure(job.delivery.reply, error, 0, None)
        self._count(job, 0, error)

    async def _handle(self, context: RequestContext) -> Response:
        if CURRENT.get() is not context:  # an interceptor has replaced it
            if not isinstance(context, RequestContext):  # pyright: ignore[reportUnnecessaryIsInstance] - of an interceptor
                raise wrong_context(context)
            CURRENT.set(context)
        return Response(await self._begin(context))

    def _begin(self, context: RequestContext) -> Awaitable[object]:
        """Check what was not read yet, and call the handler."""
        # An invalid payload or context does not reach the handler.
        if context.received is not None:
            context.payload  # noqa: B018
        if context._metadata_context is not NO_CONTEXT:  # pyright: ignore[reportPrivateUsage]
            context.metadata_context  # noqa: B018
        context.note_executed()
        return self._handler(context)

    def _public_error(self, error: BaseException) -> ServiceError:
        """Return the error that the caller gets."""
        if isinstance(error, ServiceError) and not broken_rule(error):
            if error.of_connection:
                return without_text(error)
            return error if self._codec.declares(error) else InternalError()
        return InternalError()

    def _log(self, error: BaseException, key: str) -> None:
        """Log an exception that the caller does not get."""
        cause: BaseException | None = error
        if isinstance(error, ContractBreachError):
            text, cause = f"broke its contract: {error}", None
        elif isinstance(error, ServiceError) and (rule := broken_rule(error)):
            text = f"raised {type(error).__name__}, which is not a valid error: {rule}"
        elif isinstance(error, ServiceError) and error.of_connection:
            text, cause = f"failed: {without_key(error, key)}", None
        elif isinstance(error, ServiceError):
            text = f"raised {error.label}, which its contract does not declare"
        else:
            text = "failed"
        _LOG.error("%s %s", self.operation.subject, text, exc_info=cause)

    def _log_unimplemented(self, error: UnimplementedError) -> None:
        """Log once which line raises the error; callers do not get to know it."""
        frames = list(walk_tb(error.__traceback__))
        if frames and not self._logged_unimplemented:
            self._logged_unimplemented = True
            frame, line = frames[-1]
            place = f"{frame.f_code.co_filename}:{line}"
            _LOG.warning("%s is not implemented: see %s", self.operation.subject, place)

    def _log_of_call(self, error: ServiceError) -> None:
        """Log which call of a handler failed where the caller takes the error for one of its own.

        The text of the error, which another service wrote, may have values of the payload.
        """
        if error.name or error.code not in _OF_REQUESTS:
            return
        place = ""
        for frame, line in walk_tb(error.__traceback__):  # `extract_tb` would look at all files
            code = frame.f_code
            if not code.co_filename.startswith(_PACKAGE):
                place = f" ({code.co_filename}:{line} in {code.co_name})"
        text = "%s passes on %s, the error of a call%s"
        _LOG.warning(text, self.operation.subject, error.code, place)

    def _answer(self, job: Job, reply: bytes, headers: bytes, elapsed: int) -> None:
        if job.answered:
            return
        job.answered = True
        failure: ServiceError | None = None
        try:
            self._transport.publish(job.delivery.reply, reply, headers)
        except MessageTooLargeError:
            # Logged with its arguments: records that differ in the size alone are alike.
            values = self.operation.subject, len(reply), self._transport.max_payload
            _LOG.error(_TOO_LARGE, *values)
            failure = MessageTooLargeError(_TOO_LARGE % values)
            self._send_failure(job.delivery.reply, failure, elapsed, None)
        except ServiceError as error:
            _LOG.warning("the reply of %s could not be sent: %s", self.operation.subject, error)
            failure = error
        self._count(job, elapsed, failure)

    def _answer_end(
        self, job: Job, error: BaseException, started: int, context: RequestContext | None
    ) -> None:
        """Answer a request whose task ends, unless it is closed: no event loop sends the reply.

        If the deadline or a stop cancelled it, it has been answered already.
        """
        if isinstance(error, asyncio.CancelledError):
            failure: ServiceError = CancelledError("the service cancelled the request")
        else:
            failure = InternalError()
        if not isinstance(error, GeneratorExit):
            self._answer_failure(job, failure, started, context)

    def _fail(
        self, job: Job, error: BaseException, started: int, context: RequestContext | None
    ) -> None:
        """Answer a request that failed.

        No variable of `run` may have the exception: its traceback has that frame, and each would
        keep the other alive, with the request, until garbage is collected.
        """
        failure = self._public_error(error)
        self._answer_failure(job, failure, started, context)
        if failure is not error:
            self._log(error, "" if context is None else context.key)
        elif failure.remote:
            self._log_of_call(failure)
        elif isinstance(failure, UnimplementedError):
            self._log_unimplemented(failure)
        release_frames(error)

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
        """Count a request that has been answered, and notify those who wait for its answer."""
        self.counters.count(elapsed, error)
        context = job.context
        job.context = None  # or each would keep the other alive
        if context is not None:
            if job.on_answer:
                job.notify(context, error)
        elif error is not None:
            self._on_refused(job.delivery, job.received, error)

    def _send_failure(
        self, reply: str, error: ServiceError, elapsed: int, context: RequestContext | None
    ) -> None:
        duration = elapsed / _NANOSECONDS_PER_MILLISECOND
        subject, unsent = self.operation.subject, "the error of %s cannot be sent unchanged: %s"
        try:
            body, headers = self._encode(error, duration, context)
        except BaseException as failure:  # details may be objects that raise anything
            if ends_task(failure):
                raise
            why = str(failure) if isinstance(failure, SchemaError) else type(failure).__name__
            _LOG.warning(unsent, subject, why)
            body, headers = self._encode(InternalError(), duration, None)
        try:
            try:
                self._transport.publish(reply, body, headers)
            except MessageTooLargeError as failure:
                _LOG.warning(unsent, subject, failure)
                self._send_shortened(reply, error, failure, duration)
        except ServiceError as failure:
            _LOG.warning("the error of %s could not be sent: %s", subject, failure)

    def _send_shortened(
        self, reply: str, error: ServiceError, failure: MessageTooLargeError, duration: float
    ) -> None:
        """Say that an error is too large; where that is too large as well, send its code alone."""
        try:
            self._transport.publish(reply, *self._encode(failure, duration, None))
        except MessageTooLargeError:
            self._transport.publish(reply, b"", encode_error_headers(error, is_short=True))

    @staticmethod
    def _encode(
        error: ServiceError, duration: float, context: RequestContext | None
    ) -> tuple[bytes, bytes]:
        headers = encode_error_headers(error, executed=context is not None and context.executed)
        return encode_failure(error, duration, context), headers


def _context(operation: AnyOperation, request: Request, job: Job) -> RequestContext:
    message_id, timestamp, correlation_id, causation_id, token = request.metadata or _new_metadata()
    return RequestContext(
        "server",
        operation,
        request.key,
        None,  # the payload, which is unread
        message_id,
        correlation_id or message_id,
        timestamp,
        causation_id,
        token,
        UnreadContext(request.read_context) if request.has_context else NO_CONTEXT,
        None,  # the headers, which the job has
        job.deadline,
        None,  # the principal
        request,
        job,
    )


def _new_metadata() -> Metadata:
    return (*STAMPER.stamp(), None, None, None)

"""The interceptor that runs a command once for each message id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task
from weenats.codec.failures import broken_rule, encode_failure
from weenats.codec.operations import operation_codec
from weenats.errors import Code, InternalError, MessageTooLargeError, ServiceError
from weenats.idempotency.entries import Entry
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from weenats.context import RequestContext, Response
    from weenats.contract import AnyOperation
    from weenats.idempotency.lease import Lease
    from weenats.idempotency.replies import Replies
    from weenats.interceptors import CallNext

__all__ = ["OnceInterceptor"]
_LOG: Final = LimitedLogger("weenats.idempotency")
_DECIDED: Final = frozenset(
    {
        Code.INVALID_ARGUMENT,
        Code.PERMISSION_DENIED,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.FAILED_PRECONDITION,
    }
)
"""The codes of errors that a handler decided: a repeat gets them as well."""
_TOO_LARGE: Final = "the reply of %s has %d bytes and is too large to be kept; it was executed"


class OnceInterceptor:
    """Runs a command when its message id is new, and answers repeats with the first reply.

    Results, and errors that the handler decided, are kept. What may work later is not: the command
    then runs again when it is repeated.

    Args:
        operation: the command.
        seconds: for how long replies are kept.
        replies: the kept replies of the service.
    """

    def __init__(self, operation: AnyOperation, seconds: int, replies: Replies) -> None:
        self._codec = operation_codec(operation)
        self._subject = operation.subject
        self._seconds = seconds
        self._replies = replies
        self.replayed = 0
        """How many requests were answered with a kept reply."""

    async def __call__(self, context: RequestContext, call_next: CallNext, /) -> Response:
        """Run a command, or return its kept reply.

        Raises:
            ServiceError: the error of the handler, now or when the command ran.
            FailedPreconditionError: the message id was used with another payload.
            UnavailableError: JetStream does not answer, or the entry of the message id is not
                valid, and the command was not executed.
        """
        # What is invalid is refused, and that is not kept.
        context.payload  # noqa: B018
        context.metadata_context  # noqa: B018
        claim = await self._replies.claim(context, self._seconds)
        if isinstance(claim, Entry):
            return self._replay(claim, context)
        try:
            response = await call_next(context)
            reply = self._codec.encode_success(response.result, 0, context)
        except ServiceError as error:
            failure = self._reply_to_keep(error, context)
            if failure is None:
                claim.release()
            else:
                await self._keep(claim, failure, context)
            raise
        except BaseException:
            claim.release()
            raise
        await self._keep(claim, reply, context)
        return response

    async def _keep(self, claim: Lease, reply: bytes, context: RequestContext) -> None:
        """Keep a reply.

        Raises:
            MessageTooLargeError: it is too large, so that this error is kept in its place.
        """
        if self._replies.has_room(reply):
            await claim.keep(reply, self._seconds)
            return
        what = self._subject, len(reply)
        _LOG.error(_TOO_LARGE, *what)  # one text, so that its records are limited in their rate
        too_large = MessageTooLargeError(_TOO_LARGE % what)
        await claim.keep(encode_failure(too_large, 0, context), self._seconds)
        raise too_large

    def _reply_to_keep(self, error: ServiceError, context: RequestContext) -> bytes | None:
        """Return the reply to keep for an error; None if the command may run again."""
        if not self._is_decided(error):
            return None
        try:
            return encode_failure(error, 0, context)
        except BaseException as raised:  # details may be objects that raise anything
            if ends_task(raised):
                raise
            return None  # the caller gets INTERNAL

    def _replay(self, entry: Entry, context: RequestContext) -> Response:
        self.replayed += 1
        context.add_event(semconv.REPLAYED)
        try:
            return self._codec.decode_response(entry.reply)
        except InternalError as error:  # none is kept
            _LOG.error("a kept reply of %s is not valid any more: %s", self._subject, error)
            raise InternalError from None
        except ServiceError as error:
            error.remote = False
            raise

    def _is_decided(self, error: ServiceError) -> bool:
        if broken_rule(error) or error.of_connection:
            return False
        return error.code in _DECIDED and self._codec.declares(error)

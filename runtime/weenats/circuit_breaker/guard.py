"""The interceptor of a circuit breaker: which outcomes of a handler are failures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from weenats.circuit_breaker.policy import counts_as_failure
from weenats.errors import DeadlineExceededError
from weenats.protocol.timeouts import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from weenats.circuit_breaker.breaker import CircuitBreaker
    from weenats.circuit_breaker.policy import IsFailure
    from weenats.context import RequestContext, Response
    from weenats.contract import AnyOperation
    from weenats.interceptors import CallNext

__all__ = ["HandlerGuard"]
_FULL_TIME: Final = 0.9
"""The share of its own timeout with which an operation had its full time: calls take some of it."""
_SHARE_USED: Final = 0.5
"""The share of a shortened time after which a failure may come from the lack of time."""
_TIMEOUTS: Final = (DeadlineExceededError, TimeoutError)


class HandlerGuard:
    """Counts the outcomes of the handler of one operation, and refuses calls while it is open.

    Exceeding the deadline is a failure if the handler had the time that its operation has by the
    contract or by default: a caller that allows less says nothing about the handler. What fails in
    the second half of a shortened time may have failed for lack of it, whatever its class is: what
    handlers depend on has time limits and errors of its own.
    `is_failure_by_default` decides about other exceptions. A payload that breaks the contract and a
    call that was cancelled count as neither.

    Args:
        breaker: the circuit breaker; operations may share it.
        operation: the operation of the handler.
        is_failure: decides in place of the default whether an exception is a failure.
    """

    def __init__(
        self, breaker: CircuitBreaker, operation: AnyOperation, is_failure: IsFailure | None = None
    ) -> None:
        self._breaker = breaker
        self._admit = breaker.admit
        self._subject = operation.subject
        self._declared = frozenset(operation.errors)
        self._full_time = (operation.timeout or DEFAULT_TIMEOUT) * _FULL_TIME
        self._is_failure = is_failure

    async def __call__(self, context: RequestContext, call_next: CallNext, /) -> Response:
        """Call the handler unless the breaker is open, and count its outcome.

        Raises:
            UnavailableError: the breaker is open.
        """
        call = self._admit()
        try:
            response = await call_next(context)
        except BaseException as error:
            self._breaker.ended(call, is_failure=self._classify(error, context))
            raise
        self._breaker.succeeded(call)
        return response

    def _classify(self, error: BaseException, context: RequestContext) -> bool | None:
        """Return whether an exception is a failure, None when it counts as neither."""
        if self._may_lack_time(error, context):
            return None
        if isinstance(error, asyncio.CancelledError):
            return True if context.remaining == 0 else None
        if not isinstance(error, Exception) or error is context.payload_error:
            return None
        return counts_as_failure(error, self._declared, self._is_failure, self._subject)

    def _may_lack_time(self, error: BaseException, context: RequestContext) -> bool:
        """Return whether an exception may be due to a time that the caller made shorter."""
        time, remaining = context.time_to_run, context.remaining
        if time is None or remaining is None or time >= self._full_time:
            return False
        return isinstance(error, _TIMEOUTS) or remaining <= time * (1 - _SHARE_USED)

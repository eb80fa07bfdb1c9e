"""A circuit breaker as one operation meets it: which of its outcomes are failures."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from weenats.errors import Code, ServiceError

if TYPE_CHECKING:
    from weenats.circuit_breaker.breaker import CircuitBreaker
    from weenats.circuit_breaker.policy import IsFailure
    from weenats.context import RequestContext
    from weenats.contract import AnyOperation

_LOG: Final = logging.getLogger("weenats.circuit_breaker")
_FAILURE_CODES: Final = frozenset({Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED})


class HandlerGuard:
    """Stands around the handler of one operation.

    Failures are exceptions that are no ServiceError; INTERNAL, UNAVAILABLE and DEADLINE_EXCEEDED
    that the contract does not declare, from a nested call as well; declared errors of another
    operation; and running out of the deadline. All else that a handler says is an answer. A payload
    that breaks the contract, and a call that somebody else cancelled, say nothing about it.

    Args:
        breaker: counts; it may stand around other operations as well.
        operation: what the handler serves.
        is_failure: judges exceptions in place of the default.
    """

    __slots__ = (
        "_breaker",
        "_complained",
        "_declared",
        "_is_failure",
        "_subject",
        "admit",
        "succeeded",
    )

    def __init__(
        self, breaker: CircuitBreaker, operation: AnyOperation, is_failure: IsFailure | None = None
    ) -> None:
        self._breaker = breaker
        self._subject = operation.subject
        self._declared = frozenset(operation.errors)
        self._is_failure = is_failure
        self._complained = False
        self.admit = breaker.admit
        self.succeeded = breaker.succeeded

    def raised(self, call: int, error: BaseException, context: RequestContext) -> None:
        """Take note of what a handler ended in that `admit` let in as this call."""
        verdict = self._judge(error, context)
        if verdict is None:
            self._breaker.released(call)
        elif verdict:
            self._breaker.failed(call)
        else:
            self._breaker.succeeded(call)

    def _judge(self, error: BaseException, context: RequestContext) -> bool | None:
        """Say whether it is a failure, None when it says nothing about the handler."""
        if isinstance(error, asyncio.CancelledError):
            return True if context.remaining == 0 else None
        if not isinstance(error, Exception) or error is context.payload_error:
            return None
        if self._is_failure is not None:
            try:
                return bool(self._is_failure(error))
            except Exception:  # noqa: BLE001 - the handler's error is the one to go on with
                self._complain()
        return self._is_failure_by_default(error)

    def _complain(self) -> None:
        if not self._complained:
            self._complained = True
            _LOG.exception("is_failure raised for %s; the default judges instead", self._subject)

    def _is_failure_by_default(self, error: Exception) -> bool:
        if not isinstance(error, ServiceError):
            return True
        if type(error) in self._declared:
            return False
        return bool(error.name) or error.code in _FAILURE_CODES

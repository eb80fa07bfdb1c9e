"""Retries: which calls are repeated, after which delay, and within which budget."""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import Final

from weenats.context import ATTEMPT, RequestContext, Response
from weenats.errors import (
    Code,
    ConnectionClosedError,
    MessageTooLargeError,
    ServiceError,
    WrongEventLoopError,
)
from weenats.interceptors import CallNext, Interceptor
from weenats.protocol.timeouts import Clock, Duration, seconds

__all__ = [
    "ATTEMPT_MEMBER",
    "RetryBudget",
    "RetryInterceptor",
    "Sleep",
    "Uniform",
    "check_not_retried",
]
ATTEMPT_MEMBER: Final = "weeAttempt"
"""The member of `metadata.context` with the number of the attempt, from the second one on."""

_LOG: Final = logging.getLogger("weenats.retry")
_TRANSIENT: Final = frozenset({Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED})
_FINAL: Final = (ConnectionClosedError, MessageTooLargeError, WrongEventLoopError)
_MAX_ATTEMPTS: Final = 10
_WINDOW: Final = 10
"""Seconds for which the budget counts calls and retries."""
_MIN_RETRIES: Final = 10
"""Retries in a window that are always granted, for clients that make few calls."""

Sleep = Callable[[float], Awaitable[None]]
Uniform = Callable[[float, float], float]


class RetryInterceptor:
    """Retries calls of idempotent operations that fail with UNAVAILABLE or RESOURCE_EXHAUSTED.

    These include lost connections and subjects without responders, but neither closed clients nor
    messages that are too large. Every attempt sends the same message, with the same messageId and
    deadline. A call fails immediately with its last error when the next attempt would start after
    the deadline, or when the budget is used up.

    Clients that share the interceptor share its budget.

    Args:
        attempts: the maximum number of attempts, the first one included, 2 to 10.
        initial_backoff: the longest delay before the second attempt, in seconds or as timedelta; it
            doubles with each attempt. The delay is random between 0 and the longest one ("full
            jitter"), and is added to the `retryAfter` of an error.
        max_backoff: the limit of the longest delay, in seconds or as timedelta.
        budget: the share of calls that may be retries, see RetryBudget.
        clock: returns monotonic seconds, as in deadlines.
        sleep: waits for a number of seconds.
        uniform: returns a random number between two numbers.

    Raises:
        ValueError: a value is out of range, or initial_backoff is greater than max_backoff.
        InvalidArgumentError: a backoff is not a positive duration.
    """

    def __init__(  # noqa: PLR0913 - four settings, three replacements for tests
        self,
        attempts: int = 3,
        *,
        initial_backoff: Duration = 0.05,
        max_backoff: Duration = 2.0,
        budget: float = 0.1,
        clock: Clock = monotonic,
        sleep: Sleep = asyncio.sleep,
        uniform: Uniform = random.uniform,
    ) -> None:
        if type(attempts) is not int or not 2 <= attempts <= _MAX_ATTEMPTS:  # noqa: PLR2004 - the first one and a retry
            raise ValueError(
                f"attempts is from 2 to {_MAX_ATTEMPTS}, the first one included, not {attempts!r}"
            )
        first = seconds(initial_backoff, "initial_backoff")
        longest = seconds(max_backoff, "max_backoff")
        if first > longest:
            raise ValueError(
                f"initial_backoff {initial_backoff!r} is greater than max_backoff {max_backoff!r}"
            )
        self._backoffs = [min(longest, first * 2**n) for n in range(attempts - 1)]
        self._budget = RetryBudget(budget, clock)
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._silent_until = -math.inf

    def __call__(self, context: RequestContext, call_next: CallNext, /) -> Awaitable[Response]:
        """Make a call, and retry it if its operation is idempotent.

        Args:
            context: the request.
            call_next: makes one attempt.

        Returns:
            The response of the last attempt.

        Raises:
            ServiceError: the error of the last attempt.
        """
        self._budget.add_call()
        if context.operation.may_be_retried:
            return self._call(context, call_next)
        return call_next(context)

    async def _call(self, context: RequestContext, call_next: CallNext) -> Response:
        original = context.replace()  # the first attempt may change its context
        for number, backoff in enumerate(self._backoffs, start=2):
            try:
                return await call_next(context)
            except ServiceError as error:
                delay = self._delay(original, error, backoff)
                if delay is None:
                    raise
                _LOG.debug(
                    "%s failed with %s: attempt %d starts in %.3f s",
                    context.operation.subject,
                    error.label,
                    number,
                    delay,
                )
            await self._sleep(delay)
            context = _attempt(original, number)
        return await call_next(context)

    def _delay(self, context: RequestContext, error: ServiceError, backoff: float) -> float | None:
        """Return the seconds until the next attempt, None when there is no further attempt."""
        if error.code not in _TRANSIENT or isinstance(error, _FINAL):
            return None
        # Added, so that callers with the same `retryAfter` do not all retry at once.
        delay = (error.retry_after or 0.0) + self._uniform(0.0, backoff)
        if context.deadline is not None and self._clock() + delay >= context.deadline:
            return None
        if not self._budget.take():
            self._warn(context)
            return None
        return delay

    def _warn(self, context: RequestContext) -> None:
        """Log, once per window, that the budget is used up."""
        now = self._clock()
        if now >= self._silent_until:
            self._silent_until = now + _WINDOW
            _LOG.warning(
                "calls to %s are not retried for now: the retry budget is used up",
                context.operation.contract.name,
            )


class RetryBudget:
    """Grants retries up to a share of the calls in the last 10 seconds.

    Ten retries in 10 seconds are always granted. With a share of 0.1, a service that fails all
    calls gets at most 1.1 times the calls, from 100 calls in 10 seconds on. This is the RetryBudget
    of Finagle, except that the retries that are always granted count as well.

    Args:
        share: greater than 0, at most 1.
        clock: returns monotonic seconds; the budget counts per whole second.

    Raises:
        ValueError: the share is out of range.
    """

    def __init__(self, share: float = 0.1, clock: Clock = monotonic) -> None:
        if type(share) not in (int, float) or not 0 < share <= 1:
            raise ValueError(
                f"budget is a share of calls, greater than 0 and at most 1, not {share!r}"
            )
        self._share = share
        self._clock = clock
        self._second = int(clock())
        self._calls = [0] * _WINDOW
        self._retries = [0] * _WINDOW
        self._calls_in_window = 0
        self._retries_in_window = 0

    def add_call(self) -> None:
        """Count a call, whatever its outcome."""
        self._calls[self._bucket()] += 1
        self._calls_in_window += 1

    def take(self) -> bool:
        """Count a retry, if the budget has one left.

        Returns:
            True if the retry is granted, False when the budget is used up.
        """
        bucket = self._bucket()
        if self._retries_in_window + 1 > max(_MIN_RETRIES, self._share * self._calls_in_window):
            return False
        self._retries[bucket] += 1
        self._retries_in_window += 1
        return True

    def _bucket(self) -> int:
        """Return the bucket of the current second, and clear those that left the window."""
        second = int(self._clock())
        if second != self._second:
            for entered in range(self._second + 1, min(second, self._second + _WINDOW) + 1):
                bucket = entered % _WINDOW
                self._calls_in_window -= self._calls[bucket]
                self._retries_in_window -= self._retries[bucket]
                self._calls[bucket] = self._retries[bucket] = 0
            self._second = second
        return second % _WINDOW


def check_not_retried(interceptors: Iterable[Interceptor]) -> None:
    """Check that no interceptor retries: the attempts of two would multiply.

    Args:
        interceptors: the interceptors of a client.

    Raises:
        ValueError: one of them retries.
    """
    if any(isinstance(each, RetryInterceptor) for each in interceptors):
        raise ValueError("with_retry() was already called")


def _attempt(original: RequestContext, number: int) -> RequestContext:
    members = {**original.metadata_context, ATTEMPT_MEMBER: number}
    context = original.replace(metadata_context=members)
    context[ATTEMPT] = number
    return context

"""Making calls again that failed for now: which, after how long, and when no more."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from weenats.client.retry_budget import WINDOW, RetryBudget
from weenats.context import ATTEMPT
from weenats.errors import Code, MessageTooLargeError, ServiceError
from weenats.protocol.deadline import Clock, Duration, seconds

if TYPE_CHECKING:
    from weenats.context import RequestContext, Response
    from weenats.interceptors import CallNext

ATTEMPT_MEMBER: Final = "weeAttempt"
"""The member of `metadata.context` that tells it to the service."""

_LOG: Final = logging.getLogger("weenats.retry")
_TRANSIENT: Final = frozenset({Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED})
_MAX_ATTEMPTS: Final = 10

Sleep = Callable[[float], Awaitable[None]]
Uniform = Callable[[float, float], float]


class RetryInterceptor:
    """Makes calls of idempotent operations again when they end UNAVAILABLE or RESOURCE_EXHAUSTED.

    That includes lost connections and subjects that nobody listens on, but no message that is too
    large. Each attempt is the same message, with the same messageId, in what is left of the call's
    time. A call that cannot be made again before its deadline, or for which there is no budget,
    ends at once in the error that it has.

    Clients that share the interceptor share its budget.

    Args:
        attempts: how often a call is made at most, the first time included, 2 to 10.
        initial_backoff: the longest pause before the second attempt; it doubles with each attempt.
            Pauses are drawn between 0 and the longest one ("full jitter"), and come on top of the
            `retryAfter` of an error.
        max_backoff: what the longest pause does not grow beyond.
        budget: the share of calls that may be retries, see RetryBudget.
        clock: monotonic seconds, as those of deadlines.
        sleep: lets a pause pass.
        uniform: draws between two numbers.

    Raises:
        ValueError: a value is out of bounds, or initial_backoff is more than max_backoff.
        InvalidArgumentError: a duration is none.
    """

    def __init__(  # noqa: PLR0913 - four say what holds, three are for tests
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
        if type(attempts) is not int or not 2 <= attempts <= _MAX_ATTEMPTS:  # noqa: PLR2004 - once is no retry
            raise ValueError(
                f"attempts are from 2 to {_MAX_ATTEMPTS}, the first included, not {attempts!r}"
            )
        first = seconds(initial_backoff, "initial_backoff")
        longest = seconds(max_backoff, "max_backoff")
        if first > longest:
            raise ValueError(
                f"initial_backoff {initial_backoff!r} is more than max_backoff {max_backoff!r}"
            )
        self._backoffs = [min(longest, first * 2**n) for n in range(attempts - 1)]
        self._budget = RetryBudget(budget, clock)
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._silent_until = -math.inf

    def __call__(self, context: RequestContext, call_next: CallNext, /) -> Awaitable[Response]:
        """Make the call, again where that is safe and makes sense.

        Raises:
            ServiceError: what the last attempt ended in.
        """
        self._budget.add_call()
        if context.operation.idempotent:
            return self._call(context, call_next)
        return call_next(context)

    async def _call(self, context: RequestContext, call_next: CallNext) -> Response:
        original = context.replace()  # whatever the first attempt makes of its context
        for number, backoff in enumerate(self._backoffs, start=2):
            try:
                return await call_next(context)
            except ServiceError as error:
                pause = self._pause(original, error, backoff)
                if pause is None:
                    raise
                _LOG.debug(
                    "%s ended in %s: attempt %d begins in %.3f s",
                    context.operation.subject,
                    error.label,
                    number,
                    pause,
                )
            await self._sleep(pause)
            context = _attempt(original, number)
        return await call_next(context)

    def _pause(self, context: RequestContext, error: ServiceError, backoff: float) -> float | None:
        """Return how long to wait before the next attempt, None when there shall be none."""
        if error.code not in _TRANSIENT or isinstance(error, MessageTooLargeError):
            return None
        # On top, not instead: those who were told the same time must not come back all at once.
        pause = (error.retry_after or 0.0) + self._uniform(0.0, backoff)
        if context.deadline is not None and self._clock() + pause >= context.deadline:
            return None
        if not self._budget.take():
            self._warn(context)
            return None
        return pause

    def _warn(self, context: RequestContext) -> None:
        """Tell that calls fail which would be made again, once in a window."""
        now = self._clock()
        if now >= self._silent_until:
            self._silent_until = now + WINDOW
            _LOG.warning(
                "calls of %s are not made again for now: the budget of retries is used up",
                context.operation.contract.name,
            )


def _attempt(original: RequestContext, number: int) -> RequestContext:
    members = {**original.metadata_context, ATTEMPT_MEMBER: number}
    context = original.replace(metadata_context=members)
    context[ATTEMPT] = number
    return context

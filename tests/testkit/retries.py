"""Retries without waiting: a clock that sleeping moves, and a service that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from testkit.clocks import FakeClock
from testkit.contexts import make_context
from testkit.probe import FORGET, RUN, Outcome
from weenats.client.retry import RetryInterceptor
from weenats.context import RequestContext, Response
from weenats.contract import Command

IDEMPOTENT_RUN: Final[Command[Any, Outcome]] = replace(RUN, idempotent=True)
"""The probe's command, declared idempotent."""
IDEMPOTENT_FORGET: Final[Command[Any, None]] = replace(FORGET, idempotent=True)


class SleepClock(FakeClock):
    """A clock that sleeping moves forward."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Move the clock forward."""
        self.pauses.append(seconds)
        self.now += seconds


class Backend:
    """The end of a chain: each attempt ends in the next of `outcomes`, later ones in a response.

    Attributes:
        seen: the context of each attempt.
    """

    def __init__(self, *outcomes: BaseException | Callable[[RequestContext], None]) -> None:
        self._outcomes = list(outcomes)
        self.seen: list[RequestContext] = []

    async def __call__(self, context: RequestContext) -> Response:
        """End in the next outcome."""
        self.seen.append(context)
        if self._outcomes:
            outcome = self._outcomes.pop(0)
            if isinstance(outcome, BaseException):
                raise outcome
            outcome(context)
        return Response(len(self.seen))


def make_retry(time: SleepClock, *, draw: float = 1.0, **options: Any) -> RetryInterceptor:
    """Return an interceptor on a clock; `draw` is the share of the longest pause that it takes."""
    return RetryInterceptor(
        clock=time,
        sleep=time.sleep,
        uniform=lambda low, high: low + (high - low) * draw,
        **options,
    )


def idempotent_call(**changes: Any) -> RequestContext:
    """Return the context of a call that may be retried."""
    return make_context(**{"operation": IDEMPOTENT_RUN, **changes})

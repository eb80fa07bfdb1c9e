"""A circuit breaker on a clock that a test sets."""

from __future__ import annotations

from typing import Any

import pytest

from testkit.clocks import FakeClock
from weenats import CircuitStateChange, RequestContext, Response, UnavailableError
from weenats.circuit_breaker import CircuitBreakerPolicy, HandlerGuard
from weenats.circuit_breaker.breaker import CircuitBreaker


def ended(guard: HandlerGuard, context: RequestContext, error: BaseException | None = None) -> None:
    """Let one call through a guard end, with an error if there is one.

    Raises:
        UnavailableError: the breaker is open.
    """

    async def handle(_: RequestContext) -> Response:
        if error is not None:
            raise error
        return Response(None)

    try:
        guard(context, handle).send(None)
    except StopIteration:
        pass
    except BaseException as raised:
        if raised is not error:
            raise


class ManualBreaker:
    """A breaker that opens after three failures, its clock and its reported changes."""

    def __init__(self, **policy: Any) -> None:
        self.clock = FakeClock()
        self.changes: list[CircuitStateChange] = []
        settings: dict[str, Any] = {"failure_threshold": 3, "clock": self.clock, **policy}
        self.breaker = CircuitBreaker(
            CircuitBreakerPolicy(**settings), "probe", "run", self.changes.append
        )

    @property
    def state(self) -> Any:
        """The state in the statistics."""
        return self.breaker.statistics()["state"]

    @property
    def failures(self) -> Any:
        """The failures in the window, from the statistics."""
        return self.breaker.statistics()["failures"]

    def fail(self, times: int = 1) -> None:
        """Let calls fail, one after the other."""
        for _ in range(times):
            self.breaker.failed(self.breaker.admit())

    def succeed(self, times: int = 1) -> None:
        """Let calls succeed, one after the other."""
        for _ in range(times):
            self.breaker.succeeded(self.breaker.admit())

    def refused(self) -> UnavailableError:
        """Return the error of a call that is rejected."""
        with pytest.raises(UnavailableError) as raised:
            self.breaker.admit()
        return raised.value

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds

"""A circuit breaker: when it opens, which trial calls it admits, when it closes."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final, NoReturn

from weenats._internal.timestamps import utc_timestamp
from weenats.circuit_breaker.policy import EVERY_OPERATION, CircuitStateChange
from weenats.circuit_breaker.state import CircuitState, StateHolder
from weenats.context import CURRENT, RequestContext
from weenats.errors import RETRY_AFTER, UnavailableError
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats.circuit_breaker.policy import CircuitBreakerPolicy, Listener

__all__ = ["CircuitBreaker", "note_state"]
_TRIAL_PATIENCE: Final = 1.0
"""The `retryAfter` in seconds of calls that are refused because all trial calls still run."""


class CircuitBreaker:
    """Refuses calls to a handler that fails; trial calls show whether it has recovered.

    A call is admitted, and ends in `succeeded`, `failed` or, if it counts as neither, `released`.
    It passes the generation that it was admitted in; calls of earlier generations change nothing.

    Args:
        policy: when it opens and closes.
        service: the name of the service.
        operation: the name of the operation, "*" for all operations.
        report: takes each change of its state.
    """

    def __init__(
        self, policy: CircuitBreakerPolicy, service: str, operation: str, report: Listener
    ) -> None:
        self._policy = policy
        self._clock = policy.clock
        self._service = service
        self._operation = operation
        self._name = service if operation == EVERY_OPERATION else operation
        self._report = report
        self._state = StateHolder()
        self._generation = 0
        self._failures: deque[float] = deque(maxlen=policy.failure_threshold)
        self._trials = 0
        self._successes = 0
        self._next_trial_at = 0.0  # when trials may begin: it is open, or all trials are running
        self._refused = 0
        self._opened = 0

    @property
    def is_closed(self) -> bool:
        """Whether it admits all calls."""
        return self._state.is_closed

    def admit(self) -> int:
        """Admit a call.

        Returns:
            The generation of the call.

        Raises:
            UnavailableError: the breaker is open; `retryAfter` in its details is the time in
                milliseconds after which trial calls are admitted.
        """
        if not self._state.is_closed:
            self._admit_trial()
        return self._generation

    def succeeded(self, generation: int) -> None:
        """Count a call that the handler answered.

        Args:
            generation: what `admit` returned for the call.
        """
        if generation != self._generation or self._state.is_closed:
            return
        self._successes += 1
        if self._successes == self._policy.half_open_max_calls:
            self._failures.clear()
            self._change(CircuitState.CLOSED)

    def failed(self, generation: int) -> None:
        """Count a failure; it opens the breaker at the threshold, or if the call was a trial.

        Args:
            generation: what `admit` returned for the call.
        """
        if generation != self._generation:
            return
        self._failures.append(self._clock())
        if not self._state.is_closed or self._recent_failures() == self._policy.failure_threshold:
            self._opened += 1
            self._next_trial_at = self._clock() + self._policy.recovery_timeout
            self._change(CircuitState.OPEN)

    def released(self, generation: int) -> None:
        """End a call that counts neither as a success nor as a failure.

        Args:
            generation: what `admit` returned for the call.
        """
        if generation == self._generation and not self._state.is_closed:
            self._trials -= 1

    def ended(self, generation: int, *, is_failure: bool | None) -> None:
        """Count a call that ended with an exception.

        Args:
            generation: what `admit` returned for the call.
            is_failure: whether the exception is a failure; None if it counts as neither.
        """
        if is_failure is None:
            self.released(generation)
        elif is_failure:
            self.failed(generation)
        else:
            self.succeeded(generation)

    def seconds_to_trial(self) -> float:
        """Return the seconds until trial calls are admitted, 0 unless it is open."""
        if self._state.current is not CircuitState.OPEN:
            return 0.0
        return max(self._next_trial_at - self._clock(), 0.0)

    def statistics(self) -> dict[str, JsonValue]:
        """Return the statistics that `$SRV.STATS` shows."""
        state = self._state.current
        statistics: dict[str, JsonValue] = {
            "state": state.value,
            "failures": self._recent_failures(),
            "refused": self._refused,
            "opened": self._opened,
        }
        if state is CircuitState.OPEN:
            statistics["nextTrial"] = utc_timestamp(self._next_trial_at - self._clock())
        return statistics

    def _admit_trial(self) -> None:
        now = self._clock()
        is_open = self._state.current is CircuitState.OPEN
        if is_open or self._trials == self._policy.half_open_max_calls:
            if now < self._next_trial_at:
                self._refuse(self._next_trial_at - now, is_open=is_open)
            self._begin_trials(is_open=is_open)
        self._trials += 1
        self._next_trial_at = now + self._policy.recovery_timeout
        note_state(self._state.current)

    def _begin_trials(self, *, is_open: bool) -> None:
        self._trials = self._successes = 0
        if is_open:
            self._change(CircuitState.HALF_OPEN)
        else:
            self._generation += 1  # trials that hang no longer count

    def _refuse(self, wait: float, *, is_open: bool) -> NoReturn:
        self._refused += 1
        note_state(self._state.current, semconv.CIRCUIT_BREAKER_REFUSED)
        if is_open:
            text = f"the circuit breaker of {self._name} is open"
        else:
            text = f"the circuit breaker of {self._name} is half-open and its trial calls still run"
            wait = min(wait, _TRIAL_PATIENCE)
        raise UnavailableError(text, details={RETRY_AFTER: math.ceil(wait * 1000)})

    def _change(self, state: CircuitState) -> None:
        old = self._state.current
        self._state.change(state)
        self._generation += 1
        change = CircuitStateChange(
            service=self._service,
            operation=self._operation,
            old=old,
            new=state,
            failures=self._recent_failures(),
            next_trial=self._policy.recovery_timeout if state is CircuitState.OPEN else None,
        )
        self._report(change)

    def _recent_failures(self) -> int:
        """Return how many failures there were within the window."""
        oldest = self._clock() - self._policy.monitoring_window
        while self._failures and self._failures[0] <= oldest:
            self._failures.popleft()
        return len(self._failures)


def note_state(state: CircuitState, event: str = "", **details: str) -> None:
    """Record the state of a breaker, and what it did, on the span of the current request.

    Args:
        state: the state.
        event: the name of the event to add, "" for none.
        details: the attributes of the event.
    """
    context = CURRENT.get()
    if isinstance(context, RequestContext):
        context.note_feature({semconv.FEATURE_CIRCUIT_BREAKER: state.value})
        if event:
            context.add_event(event, **details)

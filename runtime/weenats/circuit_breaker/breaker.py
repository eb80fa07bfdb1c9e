"""The rules of a circuit breaker: when it opens, what it tries, when it closes."""

from __future__ import annotations

import math
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NoReturn

from weenats.circuit_breaker.policy import EVERY_OPERATION, CircuitStateChange
from weenats.circuit_breaker.state import CircuitState, StateHolder
from weenats.circuit_breaker.tracing import tell_state
from weenats.errors import RETRY_AFTER, UnavailableError
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats.circuit_breaker.policy import CircuitBreakerPolicy, Listener

_TRIAL_PATIENCE: Final = 1.0
"""Seconds after which whoever found all trials taken may ask for their outcome."""


class CircuitBreaker:
    """Keeps calls away from what fails, and finds out when it has recovered.

    A call is admitted, and ends in `succeeded`, `failed` or, without a verdict, `released`. It
    hands back the generation that it was admitted in; what ends in a later one changes nothing.

    Args:
        policy: the rules.
        service: the service it belongs to.
        operation: the operation it stands around, "*" for all.
        report: takes each change.
    """

    def __init__(
        self, policy: CircuitBreakerPolicy, service: str, operation: str, report: Listener
    ) -> None:
        self._clock = policy.clock
        self._threshold = policy.failure_threshold
        self._recovery = policy.recovery_timeout
        self._window = policy.monitoring_window
        self._max_trials = policy.half_open_max_calls
        self._service = service
        self._operation = operation
        self._name = service if operation == EVERY_OPERATION else operation
        self._report = report
        self._state = StateHolder()
        self._generation = 0
        self._failures: deque[float] = deque(maxlen=self._threshold)
        self._trials = 0
        self._successes = 0
        self._due = 0.0  # when the next trials may begin: open, or half-open with all places taken
        self._refused = 0
        self._opened = 0

    @property
    def is_closed(self) -> bool:
        """Say whether it lets all calls in."""
        return self._state.is_closed

    def admit(self) -> int:
        """Return the generation that a call belongs to.

        Raises:
            UnavailableError: the call must not be made now; `retryAfter` says when.
        """
        if not self._state.is_closed:
            self._admit_trial()
        return self._generation

    def succeeded(self, generation: int) -> None:
        """Take note of a call that its handler answered."""
        if generation != self._generation or self._state.is_closed:
            return
        self._successes += 1
        if self._successes == self._max_trials:
            self._failures.clear()
            self._change(CircuitState.CLOSED)

    def failed(self, generation: int) -> None:
        """Take note of a failure: the last one that the window takes, or a trial's, opens."""
        if generation != self._generation:
            return
        self._failures.append(self._clock())
        if not self._state.is_closed or self._recent_failures() == self._threshold:
            self._opened += 1
            self._due = self._clock() + self._recovery
            self._change(CircuitState.OPEN)

    def released(self, generation: int) -> None:
        """Take note of a call that ended without a verdict; a trial gives its place back."""
        if generation == self._generation and not self._state.is_closed:
            self._trials -= 1

    def seconds_to_trial(self) -> float:
        """Return how long it lets nobody in: 0 unless it is open and no trial is due yet."""
        if self._state.current is not CircuitState.OPEN:
            return 0.0
        return max(self._due - self._clock(), 0.0)

    def statistics(self) -> dict[str, JsonValue]:
        """Return what `$SRV.STATS` tells of it."""
        state = self._state.current
        told: dict[str, JsonValue] = {
            "state": state.value,
            "failures": self._recent_failures(),
            "refused": self._refused,
            "opened": self._opened,
        }
        if state is CircuitState.OPEN:
            due = datetime.now(UTC) + timedelta(seconds=self._due - self._clock())
            told["nextTrial"] = due.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return told

    def _admit_trial(self) -> None:
        now = self._clock()
        is_open = self._state.current is CircuitState.OPEN
        if is_open or self._trials == self._max_trials:
            if now < self._due:
                self._refuse(self._due - now, is_open=is_open)
            self._begin_trials(is_open=is_open)
        self._trials += 1
        self._due = now + self._recovery
        tell_state(self._state.current.value)

    def _begin_trials(self, *, is_open: bool) -> None:
        self._trials = self._successes = 0
        if is_open:
            self._change(CircuitState.HALF_OPEN)
        else:
            self._generation += 1  # those that hang are given up

    def _refuse(self, wait: float, *, is_open: bool) -> NoReturn:
        self._refused += 1
        tell_state(self._state.current.value, semconv.CIRCUIT_BREAKER_REFUSED)
        if is_open:
            text = f"the circuit breaker of {self._name} is open"
        else:
            text = f"the circuit breaker of {self._name} is half-open, its trials are running"
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
            next_trial=self._recovery if state is CircuitState.OPEN else None,
        )
        self._report(change)

    def _recent_failures(self) -> int:
        """Return how many failures the window holds."""
        oldest = self._clock() - self._window
        while self._failures and self._failures[0] <= oldest:
            self._failures.popleft()
        return len(self._failures)

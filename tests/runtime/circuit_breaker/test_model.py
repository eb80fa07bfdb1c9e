"""The circuit breaker compared with a simple model that keeps every event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from testkit.manual_breaker import ManualBreaker
from testkit.properties import examples

THRESHOLD, RECOVERY, WINDOW, TRIALS = 3, 10.0, 15.0, 2


@dataclass(eq=False)
class Call:
    """A call that was admitted or rejected."""

    ticket: int | None
    is_trial: bool
    epoch: object


@dataclass
class Model:
    """The rules of the circuit breaker, without optimisations."""

    state: str = "closed"
    epoch: object = field(default_factory=object)
    failed_at: list[float] = field(default_factory=list)
    places: set[Call] = field(default_factory=set)
    proven: set[Call] = field(default_factory=set)
    opened_at: float = 0
    last_trial_at: float = 0
    opened: int = 0
    refused: int = 0

    def change_state(self, state: str) -> None:
        """Change the state; no call belongs to the new state yet."""
        self.state, self.epoch = state, object()
        self.places, self.proven = set(), set()

    def admits(self, now: float) -> bool:
        """Return whether a call at this time is admitted."""
        if self.state == "closed":
            return True
        if self.state == "open":
            return now - self.opened_at >= RECOVERY
        return len(self.places) < TRIALS or now - self.last_trial_at >= RECOVERY

    def begin(self, call: Call, now: float) -> None:
        """Start a call."""
        if self.state == "open" or len(self.places) == TRIALS:
            self.change_state("half-open")
        if self.state == "half-open":
            self.places.add(call)
            self.last_trial_at = now
            call.is_trial = True
        call.epoch = self.epoch

    def end(self, call: Call, outcome: str, now: float) -> None:
        """End a call with this outcome."""
        if call.epoch is not self.epoch:
            return
        if outcome == "failed":
            self.failed_at.append(now)
            if call.is_trial or self.recent_failures(now) >= THRESHOLD:
                self.change_state("open")
                self.opened_at = now
                self.opened += 1
        elif call.is_trial and outcome == "released":
            self.places.remove(call)
        elif call.is_trial:
            self.proven.add(call)
            if len(self.proven) == TRIALS:
                self.change_state("closed")
                self.failed_at.clear()

    def recent_failures(self, now: float) -> int:
        """Return the number of failures within the window, at most the threshold."""
        return min(sum(now - then < WINDOW for then in self.failed_at), THRESHOLD)


class Comparison(RuleBasedStateMachine):
    """Applies the same operations to the breaker and the model."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.circuit = ManualBreaker(
            failure_threshold=THRESHOLD,
            recovery_timeout=RECOVERY,
            monitoring_window=WINDOW,
            half_open_max_calls=TRIALS,
        )
        self.model = Model()

    @rule(target=calls)
    def begin(self) -> Call:
        """Start a call."""
        now = self.circuit.clock()
        call = Call(None, is_trial=False, epoch=None)
        if self.model.admits(now):
            call.ticket = self.circuit.breaker.admit()
            self.model.begin(call, now)
        else:
            wait = self.circuit.refused().retry_after
            assert wait is not None
            assert 0 < wait <= RECOVERY
            self.model.refused += 1
        return call

    @rule(
        call=consumes(calls),
        outcome=st.sampled_from(["succeeded", "failed", "failed", "released"]),
    )
    def end(self, call: Call, outcome: str) -> None:
        """End a call with this outcome."""
        if call.ticket is not None:
            getattr(self.circuit.breaker, outcome)(call.ticket)
            self.model.end(call, outcome, self.circuit.clock())

    @rule(seconds=st.sampled_from([1, 4, RECOVERY, WINDOW]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.circuit.pass_time(seconds)

    @invariant()
    def breaker_equals_model(self) -> None:
        """State and counts are equal, and the last reported change is the state."""
        told: dict[str, Any] = dict(self.circuit.breaker.statistics())
        told.pop("nextTrial", None)
        assert told == {
            "state": self.model.state,
            "failures": self.model.recent_failures(self.circuit.clock()),
            "refused": self.model.refused,
            "opened": self.model.opened,
        }
        if self.circuit.changes:
            assert self.circuit.changes[-1].new == self.model.state


TestComparison = Comparison.TestCase
TestComparison.settings = examples(2, stateful_step_count=60)

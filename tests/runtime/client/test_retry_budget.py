"""The retry budget: a share of the calls in a sliding window, but at least ten."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from testkit.clocks import FakeClock
from weenats.client.retry import RetryBudget


def take_all(budget: RetryBudget) -> int:
    """Take retries until there are none left, and return their number."""
    count = 0
    while budget.take():
        count += 1
    return count


def add_calls(budget: RetryBudget, times: int) -> RetryBudget:
    """Count this many calls."""
    for _ in range(times):
        budget.add_call()
    return budget


@pytest.mark.parametrize(
    ("calls", "share", "retries"),
    [
        (0, 0.1, 10), (1, 0.1, 10), (100, 0.1, 10), (109, 0.1, 10), (110, 0.1, 11),
        (1000, 0.1, 100), (1000, 0.01, 10), (1000, 1, 1000), (5, 1, 10),
    ],
)  # fmt: skip
def test_budget_is_a_share_of_the_calls_or_ten(calls: int, share: float, retries: int) -> None:
    """The budget is the larger of ten and the share, not their sum."""
    assert take_all(add_calls(RetryBudget(share, FakeClock()), calls)) == retries


def test_calls_and_retries_expire_after_ten_seconds() -> None:
    """A retry is available again once the second of its use has left the window."""
    clock = FakeClock()
    budget = add_calls(RetryBudget(0.1, clock), 200)
    assert take_all(budget) == 20
    clock.now += 9.99
    assert take_all(budget) == 0
    clock.now += 0.01
    assert take_all(budget) == 10


@pytest.mark.parametrize("pause", [10.0, 11.0, 19.0, 20.0, 1e9])
def test_budget_starts_anew_after_a_long_pause(pause: float) -> None:
    """After any pause of ten seconds or more the budget is ten again."""
    clock = FakeClock()
    budget = add_calls(RetryBudget(0.1, clock), 500)
    assert take_all(budget) == 50
    clock.now += pause
    assert take_all(budget) == 10


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan"), float("inf"), True, "0.1", None])
def test_invalid_share_is_rejected(share: Any) -> None:
    """The error shows the value."""
    with pytest.raises(ValueError, match="greater than 0 and at most 1, not"):
        RetryBudget(share)


class BudgetModel(RuleBasedStateMachine):
    """Compares the budget with the events of each second."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(now=1000.25)
        self.budget = RetryBudget(0.1, self.clock)
        self.calls: Counter[int] = Counter()
        self.retries: Counter[int] = Counter()

    def recent_events(self, events: Counter[int]) -> int:
        """Return the number of events in this second and the nine before it."""
        oldest = int(self.clock.now) - 9
        return sum(count for second, count in events.items() if second >= oldest)

    @rule(seconds=st.floats(0, 25) | st.integers(0, 12))
    def time_passes(self, seconds: float) -> None:
        """Advance the clock."""
        self.clock.now += seconds

    @rule(times=st.integers(1, 400))
    def calls_are_made(self, times: int) -> None:
        """Make many calls at once, so that the share matters."""
        add_calls(self.budget, times)
        self.calls[int(self.clock.now)] += times

    @rule(times=st.integers(1, 60))
    def retries_are_requested(self, times: int) -> None:
        """Each retry is allowed exactly when these events allow it."""
        for _ in range(times):
            share = Fraction(self.recent_events(self.calls), 10)
            expected = self.recent_events(self.retries) + 1 <= max(10, share)
            assert self.budget.take() is expected
            if expected:
                self.retries[int(self.clock.now)] += 1

    @invariant()
    def retries_never_exceed_the_share_of_all_calls(self) -> None:
        """In the long run no call pays for two windows of retries."""
        windows = len({second // 10 for second in self.retries})
        assert self.retries.total() <= self.calls.total() / 10 + 10 * windows


TestBudgetModel = BudgetModel.TestCase

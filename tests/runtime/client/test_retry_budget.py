"""The budget of retries: a share of the calls in a sliding window, and ten in any case."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from testkit.clocks import FakeClock
from weenats.client.retry import RetryBudget


def granted(budget: RetryBudget) -> int:
    """Take retries until there are no more, and return how many there were."""
    count = 0
    while budget.take():
        count += 1
    return count


def called(budget: RetryBudget, times: int) -> RetryBudget:
    """Count so many calls."""
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
def test_a_share_of_the_calls_or_ten_may_be_retries(calls: int, share: float, retries: int) -> None:
    """Ten are granted in any case, but within the share, not on top of it."""
    assert granted(called(RetryBudget(share, FakeClock()), calls)) == retries


def test_calls_and_retries_are_forgotten_after_ten_seconds() -> None:
    """What was granted is granted again when its second has left the window, not earlier."""
    clock = FakeClock()
    budget = called(RetryBudget(0.1, clock), 200)
    assert granted(budget) == 20
    clock.now += 9.99
    assert granted(budget) == 0
    clock.now += 0.01
    assert granted(budget) == 10


@pytest.mark.parametrize("pause", [10.0, 11.0, 19.0, 20.0, 1e9])
def test_a_long_pause_forgets_everything(pause: float) -> None:
    """However long nothing happened, the budget begins anew."""
    clock = FakeClock()
    budget = called(RetryBudget(0.1, clock), 500)
    assert granted(budget) == 50
    clock.now += pause
    assert granted(budget) == 10


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan"), float("inf"), True, "0.1", None])
def test_a_share_out_of_bounds_is_refused(share: Any) -> None:
    """The error names the value."""
    with pytest.raises(ValueError, match="greater than 0 and at most 1, not"):
        RetryBudget(share)


class BudgetModel(RuleBasedStateMachine):
    """Holds the budget against a list of everything that happened."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(now=1000.25)
        self.budget = RetryBudget(0.1, self.clock)
        self.calls: list[int] = []
        self.retries: list[int] = []

    def recent(self, events: list[int]) -> int:
        """Count what happened in this second and the nine before it."""
        return sum(int(self.clock.now) - 10 < second for second in events)

    @rule(seconds=st.floats(0, 25) | st.integers(0, 12))
    def time_passes(self, seconds: float) -> None:
        """Seconds and parts of them."""
        self.clock.now += seconds

    @rule(times=st.integers(1, 400))
    def calls_are_made(self, times: int) -> None:
        """Many at a time, so that shares matter."""
        called(self.budget, times)
        self.calls += [int(self.clock.now)] * times

    @rule(times=st.integers(1, 60))
    def retries_are_asked_for(self, times: int) -> None:
        """Each is granted exactly when the list says so."""
        for _ in range(times):
            share = Fraction(self.recent(self.calls), 10)
            expected = self.recent(self.retries) + 1 <= max(10, share)
            assert self.budget.take() is expected
            if expected:
                self.retries.append(int(self.clock.now))

    @invariant()
    def retries_never_exceed_the_share_of_all_calls(self) -> None:
        """In the long run too: a call pays for no two windows of retries."""
        windows = len({second // 10 for second in self.retries})
        assert len(self.retries) <= len(self.calls) / 10 + 10 * windows


TestBudgetModel = BudgetModel.TestCase

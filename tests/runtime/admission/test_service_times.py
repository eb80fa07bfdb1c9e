"""What is known of how long work takes at least."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weenats.admission.controller import ServiceTimes


def learnt(*durations: float) -> float:
    """Return what these jobs teach."""
    times = ServiceTimes()
    for duration in durations:
        times.add("a", duration, cut_short=False)
    return times.least("a")


def test_each_worker_has_its_own() -> None:
    """Nothing is known of a worker that has done nothing."""
    times = ServiceTimes()
    times.add("a", 0.0005, cut_short=False)
    assert (times.least("a"), times.least("b")) == (0.0005, 0.0)


def test_it_finds_what_work_takes() -> None:
    """Jobs that all take the same say so after a while, and no more than that."""
    assert learnt(*[0.2] * 100) == 0.2


def test_a_slow_job_says_little() -> None:
    """One that takes a minute moves it by a tenth and a millisecond, the first one included."""
    assert learnt(60.0) == pytest.approx(0.001)
    assert learnt(*[0.2] * 100, 60.0) == pytest.approx(0.221)
    assert learnt(*[0.2] * 100, 60.0, 0.2) == 0.2


def test_a_job_that_was_cut_short_makes_no_one_quicker() -> None:
    """It says that the work takes so long at least, and nothing when that is known."""
    times = ServiceTimes()
    for _ in range(100):
        times.add("a", 0.2, cut_short=True)
    times.add("a", 0.05, cut_short=True)
    assert times.least("a") == 0.2
    times.add("a", 60.0, cut_short=True)
    assert times.least("a") == pytest.approx(0.221)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_it_never_says_more_than_the_latest_took(durations: list[float]) -> None:
    """Whatever came before, a job that was quicker is believed."""
    assert 0 <= learnt(*durations) <= durations[-1]

"""Estimates of the minimum service time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weenats.admission.controller import ServiceTimes


def estimate(*durations: float) -> float:
    """Return the estimate after jobs with these durations."""
    times = ServiceTimes()
    for duration in durations:
        times.add("a", duration, cut_short=False)
    return times.least("a")


def test_estimates_are_kept_per_worker() -> None:
    """A worker without finished jobs has an estimate of 0."""
    times = ServiceTimes()
    times.add("a", 0.0005, cut_short=False)
    assert (times.least("a"), times.least("b")) == (0.0005, 0.0)


def test_estimate_converges_to_the_duration() -> None:
    """After many jobs of equal duration the estimate is that duration."""
    assert estimate(*[0.2] * 100) == 0.2


def test_one_slow_job_barely_raises_the_estimate() -> None:
    """One slow job raises the estimate by a tenth plus a millisecond, also as the first job."""
    assert estimate(60.0) == pytest.approx(0.001)
    assert estimate(*[0.2] * 100, 60.0) == pytest.approx(0.221)
    assert estimate(*[0.2] * 100, 60.0, 0.2) == 0.2


def test_cancelled_job_never_lowers_the_estimate() -> None:
    """The duration of a cancelled job is a lower bound: it can only raise the estimate."""
    times = ServiceTimes()
    for _ in range(100):
        times.add("a", 0.2, cut_short=True)
    times.add("a", 0.05, cut_short=True)
    assert times.least("a") == 0.2
    times.add("a", 60.0, cut_short=True)
    assert times.least("a") == pytest.approx(0.221)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_estimate_never_exceeds_the_latest_duration(durations: list[float]) -> None:
    """A job faster than the estimate lowers it at once, whatever came before."""
    assert 0 <= estimate(*durations) <= durations[-1]

"""LatencyHistogram: its quantiles compared with those of the sorted durations."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from weenats.service.monitoring.request_stats import LatencyHistogram

DURATIONS = st.lists(st.integers(0, 1 << 48) | st.integers(0, 10_000_000), min_size=1)
SHARES = st.floats(0, 1, allow_nan=False)
HOUR = 3600 * 10**9


def counted(*durations: int) -> LatencyHistogram:
    """Return a histogram of durations."""
    latencies = LatencyHistogram()
    for duration in durations:
        latencies.add(duration)
    return latencies


@given(DURATIONS, SHARES)
def test_quantiles_are_those_of_the_sorted_durations(durations: list[int], share: float) -> None:
    """Quantiles differ by at most 3.2 %, and are exact up to 31 ns."""
    (quantile,) = counted(*durations).quantiles(share)
    exact = sorted(durations)[max(math.ceil(share * len(durations)), 1) - 1]
    assert abs(quantile - exact) <= exact * 0.032
    assert exact > 31 or quantile == exact


@given(st.integers(0, 1 << 48), st.integers(0, 1 << 48))
def test_order_is_kept(one: int, other: int) -> None:
    """A longer duration never has a lower quantile."""
    shorter, longer = sorted((one, other))
    (low,), (high,) = counted(shorter).quantiles(0.5), counted(longer).quantiles(0.5)
    assert low <= high


@given(st.lists(DURATIONS, max_size=4))
def test_merging_is_counting_together(parts: list[list[int]]) -> None:
    """A merged histogram equals one of all durations; the parts do not change."""
    separate = [counted(*part) for part in parts]
    merged = LatencyHistogram.merged(separate)
    together = counted(*(duration for part in parts for duration in part))
    shares = (0.0, 0.5, 0.9, 0.99, 1.0)
    assert merged.quantiles(*shares) == together.quantiles(*shares)
    merged.add(5)
    assert [part.quantiles(1.0) for part in separate] == [
        counted(*part).quantiles(1.0) for part in parts
    ]


def test_nothing_has_no_quantiles() -> None:
    """An empty histogram has no quantiles."""
    assert LatencyHistogram().quantiles(0.5, 0.99) == []
    assert LatencyHistogram.merged([]).quantiles(0.5) == []


def test_memory_is_constant() -> None:
    """The number of buckets is constant."""
    latencies = counted(*range(0, HOUR, HOUR // 5000), 1 << 48, 1 << 200)
    assert len(latencies._counts) == len(LatencyHistogram()._counts) == 720
    assert sum(latencies._counts) == 5003 - (HOUR % (HOUR // 5000) == 0)


def test_what_is_too_long_is_the_longest() -> None:
    """A duration of more than three days counts as three days."""
    assert counted(1 << 200).quantiles(0.5) == counted((1 << 48) - 1).quantiles(0.5)

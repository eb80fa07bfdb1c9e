"""Latency histograms, compared with the sorted durations."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from weenats.service.monitoring.request_stats import LatencyHistogram

DURATIONS = st.lists(st.integers(0, 1 << 48) | st.integers(0, 10_000_000), min_size=1)
SHARES = st.floats(0, 1, allow_nan=False)
HOUR = 3600 * 10**9


def histogram_of(*durations: int) -> LatencyHistogram:
    """Return a histogram of these durations."""
    latencies = LatencyHistogram()
    for duration in durations:
        latencies.add(duration)
    return latencies


@given(DURATIONS, SHARES)
def test_quantiles_approximate_the_sorted_durations(durations: list[int], share: float) -> None:
    """Each quantile is within 3.2 % of the exact duration, and exact up to 31 ns."""
    (quantile,) = histogram_of(*durations).quantiles(share)
    exact = sorted(durations)[max(math.ceil(share * len(durations)), 1) - 1]
    assert abs(quantile - exact) <= exact * 0.032
    assert exact > 31 or quantile == exact


@given(st.integers(0, 1 << 48), st.integers(0, 1 << 48))
def test_quantiles_keep_the_order_of_durations(one: int, other: int) -> None:
    """A longer duration never has a lower quantile."""
    shorter, longer = sorted((one, other))
    (low,), (high,) = histogram_of(shorter).quantiles(0.5), histogram_of(longer).quantiles(0.5)
    assert low <= high


@given(st.lists(DURATIONS, max_size=4))
def test_merged_histogram_equals_a_combined_one(parts: list[list[int]]) -> None:
    """Merging equals counting all durations together, and leaves the parts unchanged."""
    separate = [histogram_of(*part) for part in parts]
    merged = LatencyHistogram.merged(separate)
    together = histogram_of(*(duration for part in parts for duration in part))
    shares = (0.0, 0.5, 0.9, 0.99, 1.0)
    assert merged.quantiles(*shares) == together.quantiles(*shares)
    merged.add(5)
    assert [part.quantiles(1.0) for part in separate] == [
        histogram_of(*part).quantiles(1.0) for part in parts
    ]


def test_empty_histogram_has_no_quantiles() -> None:
    """Without durations there are no quantiles."""
    assert LatencyHistogram().quantiles(0.5, 0.99) == []
    assert LatencyHistogram.merged([]).quantiles(0.5) == []


def test_histogram_memory_is_constant() -> None:
    """The number of buckets depends neither on the number nor on the size of durations."""
    latencies = histogram_of(*range(0, HOUR, HOUR // 5000), 1 << 48, 1 << 200)
    assert len(latencies._counts) == len(LatencyHistogram()._counts) == 720
    assert sum(latencies._counts) == 5003 - (HOUR % (HOUR // 5000) == 0)


def test_longer_durations_count_as_the_maximum() -> None:
    """A duration beyond three days counts as three days."""
    assert histogram_of(1 << 200).quantiles(0.5) == histogram_of((1 << 48) - 1).quantiles(0.5)

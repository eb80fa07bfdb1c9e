"""Durations, counted in buckets: what percentiles are told from in constant memory."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

_PRECISION: Final = 5
"""Bits: from a power of two to the next there are 32 buckets, below 64 ns each duration has one."""


class Latencies:
    """Counts durations in log-scale buckets, 1,216 of them from a nanosecond to an hour.

    What is told of a duration is its bucket's middle, at most 1.6 % beside it.
    """

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}

    def add(self, nanoseconds: int) -> None:
        """Count one duration."""
        shift = nanoseconds.bit_length() - _PRECISION - 1
        bucket = (shift << _PRECISION) + (nanoseconds >> shift) if shift > 0 else nanoseconds
        try:
            self._buckets[bucket] += 1
        except KeyError:
            self._buckets[bucket] = 1

    @classmethod
    def merged(cls, parts: Iterable[Self]) -> Self:
        """Return all that the parts have counted."""
        whole = cls()
        for part in parts:
            for bucket, count in part._buckets.items():
                whole._buckets[bucket] = whole._buckets.get(bucket, 0) + count
        return whole

    def quantiles(self, *shares: float) -> list[float]:
        """Return for each share (0 to 1) the duration, in ns, that this share does not exceed.

        [] when nothing was counted.
        """
        total = sum(self._buckets.values())
        if not total:
            return []
        buckets = sorted(self._buckets.items())
        ends = list(accumulate(count for _, count in buckets))
        ranks = (max(ceil(share * total), 1) for share in shares)
        return [_middle(buckets[bisect_left(ends, rank)][0]) for rank in ranks]


def _middle(bucket: int) -> float:
    """Return the duration in the middle of a bucket."""
    shift = (bucket >> _PRECISION) - 1
    if shift <= 0:
        return bucket
    lowest = (bucket - (shift << _PRECISION)) << shift
    return lowest + ((1 << shift) - 1) / 2

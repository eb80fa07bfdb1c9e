"""Durations, counted in buckets: what percentiles are told from in constant memory."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

_PRECISION: Final = 4
"""Bits: from a power of two to the next there are 16 buckets; up to 31 ns each has its own."""
_LONGEST: Final = 48
"""Bits of the durations that are told apart: three days."""
_BUCKETS: Final = (_LONGEST - _PRECISION + 1) << _PRECISION


class Latencies:
    """Counts durations in 720 log-scale buckets.

    What is told of a duration is its bucket's middle, at most 3.2 % beside it.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS

    def add(self, nanoseconds: int) -> None:
        """Count one duration."""
        shift = nanoseconds.bit_length() - (_PRECISION + 1)
        try:
            self._counts[
                (shift << _PRECISION) + (nanoseconds >> shift) if shift > 0 else nanoseconds
            ] += 1
        except IndexError:
            self._counts[-1] += 1

    @classmethod
    def merged(cls, parts: Iterable[Self]) -> Self:
        """Return all that the parts have counted."""
        whole = cls()
        whole._counts = [
            sum(counts)
            for counts in zip(whole._counts, *(part._counts for part in parts), strict=True)
        ]
        return whole

    def quantiles(self, *shares: float) -> list[float]:
        """Return for each share (0 to 1) the duration, in ns, that this share does not exceed.

        [] when nothing was counted.
        """
        ends = list(accumulate(self._counts))
        if not ends[-1]:
            return []
        return [_middle(bisect_left(ends, max(ceil(share * ends[-1]), 1))) for share in shares]


def _middle(bucket: int) -> float:
    """Return the duration in the middle of a bucket."""
    shift = (bucket >> _PRECISION) - 1
    if shift <= 0:
        return bucket
    lowest = (bucket - (shift << _PRECISION)) << shift
    return lowest + ((1 << shift) - 1) / 2

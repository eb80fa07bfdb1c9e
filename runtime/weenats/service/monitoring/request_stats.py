"""Request statistics of endpoints: rates, latency percentiles, requests in flight and queued."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import Final, Self

from weenats.protocol.messages import MonitoringRequests
from weenats.service.discovery import EndpointCounters

__all__ = ["LatencyHistogram", "Load", "RequestMeter", "measure"]

Load = Callable[[], tuple[int, int]]
"""Returns the current numbers of requests in flight and queued."""

_PRECISION: Final = 4
"""Bits: each power of two has 16 buckets; durations up to 31 ns have a bucket each."""
_LONGEST: Final = 48
"""Bits of the longest duration: longer ones, more than three days, are counted as this one."""
_BUCKETS: Final = (_LONGEST - _PRECISION + 1) << _PRECISION
_NANOSECONDS_PER_MILLISECOND: Final = 1e6


class LatencyHistogram:
    """A histogram of durations with 720 logarithmic buckets, so that its memory is constant.

    A duration is reported as the middle of its bucket, which differs by at most 3.2 %.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS

    def add(self, nanoseconds: int) -> None:
        """Count one duration.

        Args:
            nanoseconds: the duration.
        """
        shift = nanoseconds.bit_length() - (_PRECISION + 1)
        try:
            self._counts[
                (shift << _PRECISION) + (nanoseconds >> shift) if shift > 0 else nanoseconds
            ] += 1
        except IndexError:
            self._counts[-1] += 1

    @classmethod
    def merged(cls, parts: Iterable[Self]) -> Self:
        """Return the sum of histograms.

        Args:
            parts: the histograms.
        """
        whole = cls()
        buckets = zip(whole._counts, *(part._counts for part in parts), strict=True)
        whole._counts = [sum(counts) for counts in buckets]
        return whole

    def quantiles(self, *shares: float) -> list[float]:
        """Return quantiles in nanoseconds, [] if the histogram is empty.

        Args:
            shares: shares of all durations, 0 to 1; 0.99 for the 99th percentile.
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


@dataclass(frozen=True, slots=True)
class _Window:
    """A time window; `answered` is the number of requests that were answered before it."""

    started: float
    answered: int
    latencies: LatencyHistogram


class RequestMeter:
    """Measures the requests of one endpoint in time windows; the last two are kept.

    Args:
        counters: counters of the endpoint.
        load: returns the numbers of requests in flight and queued.
        now: start of the first window, monotonic seconds.
    """

    def __init__(self, counters: EndpointCounters, load: Load, now: float) -> None:
        self.counters = counters
        self.load = load
        self.windows: deque[_Window] = deque(maxlen=2)
        self.start_window(now)

    def start_window(self, now: float) -> None:
        """End the current window and start the next.

        Args:
            now: monotonic seconds.
        """
        latencies = LatencyHistogram()
        self.counters.on_duration = latencies.add
        self.windows.append(_Window(now, self.counters.requests, latencies))


def measure(meters: Sequence[RequestMeter], now: float, *, windows: int) -> MonitoringRequests:
    """Return the statistics of several endpoints together.

    Args:
        meters: the meters of the endpoints.
        now: monotonic seconds.
        windows: number of windows that rate and percentiles cover, 1 or 2.
    """
    recent = [list(meter.windows)[-windows:] for meter in meters]
    total = sum(meter.counters.requests for meter in meters)
    answered = total - sum(first.answered for first, *_ in recent)
    elapsed = max((now - first.started for first, *_ in recent), default=0.0)
    loads = [meter.load() for meter in meters]
    latencies = LatencyHistogram.merged(window.latencies for each in recent for window in each)
    quantiles = latencies.quantiles(0.5, 0.99)
    return MonitoringRequests(
        total=total,
        errors=sum(meter.counters.errors for meter in meters),
        rate=round(answered / elapsed, 3) if elapsed > 0 else 0.0,
        in_flight=sum(running for running, _ in loads),
        queued=sum(waiting for _, waiting in loads),
        **{
            name: round(each / _NANOSECONDS_PER_MILLISECOND, 3)
            for name, each in zip(("p50", "p99"), quantiles, strict=False)  # [] without durations
        },
    )

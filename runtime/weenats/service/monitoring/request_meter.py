"""What endpoints do with requests lately: rates, percentiles, how many run and wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from weenats.protocol.messages import MonitoringRequests
from weenats.service.monitoring.latencies import Latencies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.service.discovery import EndpointCounters

Load = Callable[[], tuple[int, int]]
"""Returns how many requests run and how many wait, now."""

_NANOSECONDS_PER_MILLISECOND: Final = 1e6


@dataclass(frozen=True, slots=True)
class _Window:
    """A stretch of time that began when so many requests had been answered."""

    begun: float
    answered: int
    latencies: Latencies


class RequestMeter:
    """Watches one endpoint in windows of time; the last two are kept."""

    def __init__(self, counters: EndpointCounters, load: Load, now: float) -> None:
        self.counters = counters
        self.load = load
        self.windows: deque[_Window] = deque(maxlen=2)
        self.turn(now)

    def turn(self, now: float) -> None:
        """End a window and begin the next."""
        latencies = Latencies()
        self.counters.on_duration = latencies.add
        self.windows.append(_Window(now, self.counters.requests, latencies))


def measure(meters: Sequence[RequestMeter], now: float, *, windows: int) -> MonitoringRequests:
    """Return what endpoints do together; "lately" is in the last so many windows, 1 or 2."""
    recent = [list(meter.windows)[-windows:] for meter in meters]
    total = sum(meter.counters.requests for meter in meters)
    answered = total - sum(first.answered for first, *_ in recent)
    elapsed = max((now - first.begun for first, *_ in recent), default=0.0)
    loads = [meter.load() for meter in meters]
    latencies = Latencies.merged(window.latencies for each in recent for window in each)
    quantiles = latencies.quantiles(0.5, 0.99)
    return MonitoringRequests(
        total=total,
        errors=sum(meter.counters.errors for meter in meters),
        rate=round(answered / elapsed, 3) if elapsed > 0 else 0.0,
        in_flight=sum(running for running, _ in loads),
        queued=sum(waiting for _, waiting in loads),
        **{
            name: round(each / _NANOSECONDS_PER_MILLISECOND, 3)
            for name, each in zip(("p50", "p99"), quantiles, strict=False)  # none of none
        },
    )

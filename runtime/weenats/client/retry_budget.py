"""How many calls may be made again: a share of those that were made, so that retries add little.

As in Finagle's RetryBudget, but what is always allowed is part of the bound, not on top of it.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weenats.protocol.deadline import Clock

WINDOW: Final = 10
"""Seconds that calls and retries are remembered."""
ALWAYS: Final = 10
"""Retries in a window that need no calls beside them, for clients that make few."""


class RetryBudget:
    """Grants retries while they are at most a share of the calls in the last 10 seconds.

    Ten in that time are always granted. So a service that answers nobody gets no more than
    `1 + share` times the calls that were made, once there were `10 / share` of them.

    Args:
        share: more than 0, at most 1.
        clock: monotonic seconds; time is counted in whole ones.

    Raises:
        ValueError: the share is out of bounds.
    """

    def __init__(self, share: float = 0.1, clock: Clock = monotonic) -> None:
        if type(share) not in (int, float) or not 0 < share <= 1:
            raise ValueError(f"budget is a share of calls, above 0 and at most 1, not {share!r}")
        self._share = share
        self._clock = clock
        self._second = int(clock())
        self._calls = [0] * WINDOW
        self._retries = [0] * WINDOW
        self._calls_in_window = 0
        self._retries_in_window = 0

    def add_call(self) -> None:
        """Count a call, however it ends."""
        self._calls[self._bucket()] += 1
        self._calls_in_window += 1

    def take(self) -> bool:
        """Count a retry if it may be made, and say so."""
        bucket = self._bucket()
        if self._retries_in_window + 1 > max(ALWAYS, self._share * self._calls_in_window):
            return False
        self._retries[bucket] += 1
        self._retries_in_window += 1
        return True

    def _bucket(self) -> int:
        """Return the bucket of this second; those that left the window are emptied."""
        second = int(self._clock())
        if second != self._second:
            for entered in range(self._second + 1, min(second, self._second + WINDOW) + 1):
                bucket = entered % WINDOW
                self._calls_in_window -= self._calls[bucket]
                self._retries_in_window -= self._retries[bucket]
                self._calls[bucket] = self._retries[bucket] = 0
            self._second = second
        return second % WINDOW

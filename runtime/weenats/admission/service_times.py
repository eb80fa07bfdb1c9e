"""How long work takes at least, learnt from the work that was done."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

WorkerT = TypeVar("WorkerT")

_GROWTH: Final = 1.1
_STEP: Final = 0.001


class ServiceTimes(Generic[WorkerT]):
    """What the quick ones among the latest jobs of each worker took, in seconds.

    A quicker job counts at once. Slower ones move it by a tenth and a millisecond each, so that
    only many of them in a row say that the work takes longer now.
    """

    def __init__(self) -> None:
        self._least: dict[WorkerT, float] = {}

    def note(self, worker: WorkerT, duration: float, *, cut_short: bool) -> None:
        """Learn from a job; one that was cut short took that long at least."""
        known = self._least.get(worker, 0.0)
        if cut_short:
            duration = max(duration, known)
        self._least[worker] = min(duration, known * _GROWTH + _STEP)

    def least(self, worker: WorkerT) -> float:
        """Return how long a job takes at least, 0 while nobody knows."""
        return self._least.get(worker, 0.0)

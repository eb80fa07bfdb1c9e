"""The schedule of faults of a run, drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

_GAPS: Final = (0.3, 1.7)
_LASTING: Final = (0.2, 3.0)


@dataclass(frozen=True, slots=True)
class Step:
    """A fault.

    Attributes:
        at: seconds since the begin.
        fault: its name.
        which: a number that selects the process or server it hits.
        lasting: seconds, for faults that last.
    """

    at: float
    fault: str
    which: int
    lasting: float

    def __str__(self) -> str:
        return f"{self.at:6.1f} s  {self.fault} {self.which}, {self.lasting:.1f} s"


def plan(seed: int, seconds: float, faults: Sequence[str]) -> list[Step]:
    """Return the steps of a run; each fault comes once before any comes again."""
    random = Random(seed)
    steps: list[Step] = []
    deck: list[str] = []
    at = random.uniform(*_GAPS)
    while at < seconds:
        if not deck:
            deck = random.sample(faults, len(faults))
        lasting = min(random.uniform(*_LASTING), seconds - at)
        steps.append(Step(at, deck.pop(), random.randrange(1000), lasting))
        at += random.uniform(*_GAPS)
    return steps

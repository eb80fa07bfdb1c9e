"""A schedule of faults is determined by its seed."""

from __future__ import annotations

from collections import Counter

from testkit.chaos.faults import FAULTS
from testkit.chaos.schedule import plan


def test_seed_determines_the_schedule() -> None:
    """The same seed gives the same steps, another seed gives other steps."""
    assert plan(1, 60, list(FAULTS)) == plan(1, 60, list(FAULTS))
    assert plan(1, 60, list(FAULTS)) != plan(2, 60, list(FAULTS))


def test_schedule_contains_every_fault() -> None:
    """A minute has every fault about equally often, each begun and ended within it."""
    for seed in range(20):
        steps = plan(seed, 60, list(FAULTS))
        counts = Counter(step.fault for step in steps)
        assert counts.keys() == FAULTS.keys()
        assert max(counts.values()) - min(counts.values()) <= 1
        assert all(step.at > 0 and step.at + step.lasting <= 60 for step in steps)
        assert [step.at for step in steps] == sorted(step.at for step in steps)

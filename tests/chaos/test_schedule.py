"""A schedule is a matter of its seed."""

from __future__ import annotations

from collections import Counter

from testkit.chaos.faults import FAULTS
from testkit.chaos.schedule import plan


def test_a_seed_is_a_schedule() -> None:
    """The same seed draws the same steps, another one others."""
    assert plan(1, 60, list(FAULTS)) == plan(1, 60, list(FAULTS))
    assert plan(1, 60, list(FAULTS)) != plan(2, 60, list(FAULTS))


def test_every_fault_has_its_turn() -> None:
    """A minute holds every fault, none much more often than another, all begun and healed in it."""
    for seed in range(20):
        steps = plan(seed, 60, list(FAULTS))
        counts = Counter(step.fault for step in steps)
        assert counts.keys() == FAULTS.keys()
        assert max(counts.values()) - min(counts.values()) <= 1
        assert all(step.at > 0 and step.at + step.lasting <= 60 for step in steps)
        assert [step.at for step in steps] == sorted(step.at for step in steps)

"""Growth of a process in memory, tasks or objects is reported."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from testkit.chaos.resources import ResourceUsage, changes, own_usage

BEFORE = ResourceUsage(resident=1000, tasks=3, objects=500)


def test_stable_vitals_are_not_reported() -> None:
    """Equal or lower figures and a little growth are not reported."""
    assert not [*changes(BEFORE, BEFORE)]
    assert not [*changes(BEFORE, ResourceUsage(resident=1100, tasks=3, objects=100))]


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"tasks": 4}, "has 4 tasks, not 3"),
        ({"tasks": 2}, "has 2 tasks, not 3"),
        ({"resident": 1200}, "has 1200 bytes, not 1000"),
        ({"objects": 600}, "has 600 objects, not 500"),
    ],
)
def test_leaks_are_reported(change: dict[str, int], objection: str) -> None:
    """A changed number of tasks, more memory or more objects is reported."""
    assert [*changes(BEFORE, replace(BEFORE, **change))] == [objection]


async def test_own_vitals_count_tasks_and_objects() -> None:
    """A task and its objects are counted until they are gone."""
    before = own_usage()
    kept = [[number] for number in range(before.objects)]
    task = asyncio.create_task(asyncio.sleep(60))
    assert {"has 2 tasks, not 1"} < {*changes(before, own_usage())}
    task.cancel()
    await asyncio.wait([task])
    kept.clear()
    assert not [*changes(replace(before, resident=2**60), own_usage())]

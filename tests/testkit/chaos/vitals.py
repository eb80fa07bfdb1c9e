"""What a process holds, and whether it holds more than it did."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_GROWTH: Final = 1.15
"""By how much a process may have grown: caches, and code that it did not need in the calm."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a process holds once it has nothing to do.

    Attributes:
        resident: bytes.
        tasks: of asyncio.
        objects: that the garbage collector knows, after it has collected.
    """

    resident: int
    tasks: int
    objects: int


def own_vitals() -> Vitals:
    """Return the vitals of this process; the task that asks counts."""
    gc.collect()
    return Vitals(resident_bytes(os.getpid()), len(asyncio.all_tasks()), len(gc.get_objects()))


def resident_bytes(process: int) -> int:
    """Return how much memory a process holds."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE


def changes(before: Vitals, after: Vitals) -> Iterator[str]:
    """Return what a process has more of than it may, or of tasks less."""
    if after.tasks != before.tasks:
        yield f"has {after.tasks} tasks, not {before.tasks}"
    for name, first, last in (
        ("bytes", before.resident, after.resident),
        ("objects", before.objects, after.objects),
    ):
        if last > first * _GROWTH:
            yield f"has {last} {name}, not {first}"

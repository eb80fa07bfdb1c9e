"""The resource usage of a process, and whether it grew."""

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
"""The factor by which a process may grow: caches, and code that only faults execute."""


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """What an idle process holds.

    Attributes:
        resident: bytes.
        tasks: of asyncio.
        objects: that the garbage collector knows, after it has collected.
    """

    resident: int
    tasks: int
    objects: int


def own_usage() -> ResourceUsage:
    """Return the usage of this process; the current task counts."""
    gc.collect()
    return ResourceUsage(
        resident_bytes(os.getpid()), len(asyncio.all_tasks()), len(gc.get_objects())
    )


def resident_bytes(process: int) -> int:
    """Return the resident memory of a process, in bytes."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE


def changes(before: ResourceUsage, after: ResourceUsage) -> Iterator[str]:
    """Return what grew more than it may; tasks must be the same."""
    if after.tasks != before.tasks:
        yield f"has {after.tasks} tasks, not {before.tasks}"
    for name, first, last in (
        ("bytes", before.resident, after.resident),
        ("objects", before.objects, after.objects),
    ):
        if last > first * _GROWTH:
            yield f"has {last} {name}, not {first}"

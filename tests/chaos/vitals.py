"""What a process holds: memory, tasks, objects."""

from __future__ import annotations

import asyncio
import gc
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


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

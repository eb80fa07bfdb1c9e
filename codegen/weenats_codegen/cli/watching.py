"""Which files of a project have changed, found by looking at them again and again."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

PYTHON: Final = (".py",)
CONTRACTS: Final = (".json", ".yaml", ".yml")
_SKIPPED: Final = ("__pycache__", "node_modules", "site-packages")

Snapshot = dict[Path, tuple[int, int, int]]
"""Time of change, size and inode of each file."""


def snapshot(folders: Iterable[Path], suffixes: Sequence[str]) -> Snapshot:
    """Return the current state of all files below some folders.

    Hidden folders, virtual environments and installed packages are left out.

    Args:
        folders: The folders; those that do not exist are empty.
        suffixes: How the names of the files end.
    """
    found: Snapshot = {}
    for folder in folders:
        for path in _files(folder, tuple(suffixes)):
            try:
                state = path.stat()
            except OSError:  # removed in between
                continue
            found[path] = (state.st_mtime_ns, state.st_size, state.st_ino)
    return found


def changed(before: Snapshot, after: Snapshot) -> list[Path]:
    """Return the files that were added, removed or changed."""
    return sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )


def _files(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if _is_watched(parent, each)]
        yield from (Path(parent, name) for name in names if name.endswith(suffixes))


def _is_watched(parent: str, name: str) -> bool:
    hidden = name.startswith(".") or name in _SKIPPED
    return not hidden and not Path(parent, name, "pyvenv.cfg").exists()

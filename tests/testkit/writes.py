"""Runs of the writer of generated files that tests start in forks."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from weenats_codegen.output.writer import write


def write_until(out: Path, files: dict[str, str], step: int, ending: str) -> None:
    """Write files; before a file is replaced or removed for the nth time, from 0, send a signal.

    Args:
        out: the folder.
        files: what to write.
        step: n.
        ending: the name of the signal, which this process sends to itself.
    """
    changes = 0

    def counted(change: Any) -> Any:
        def counting(*arguments: Any, **options: Any) -> Any:
            nonlocal changes
            if changes == step:
                os.kill(os.getpid(), getattr(signal, ending))
            changes += 1
            return change(*arguments, **options)

        return counting

    Path.replace, Path.unlink = counted(Path.replace), counted(Path.unlink)  # type: ignore[method-assign]
    write(out, files)


def write_often(out: Path, files: dict[str, str]) -> None:
    """Write files ten times."""
    for _ in range(10):
        write(out, files)

"""A `weenats run` in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET: Final = "receipts.handlers:Receipts"
TEA: Final = '{"name": "Tea", "price": 0.1, "quantity": 3}'
"""What `add-item` of receipts takes."""


@contextmanager
def running(*arguments: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Serve in a process group of its own; yield the process and what it said of itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "weenats_codegen", "run", *arguments, "--json"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, process.communicate()[1]
        yield process, json.loads(first)
    finally:
        process.terminate()
        process.communicate(timeout=20)

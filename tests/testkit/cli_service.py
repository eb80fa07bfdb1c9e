"""A service in a process of its own, started with `weenats run`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from testkit.processes import child_process

TARGET: Final = "receipts.handlers:Receipts"
TEA: Final = '{"name": "Tea", "price": 0.1, "quantity": 3}'
"""A payload of the command `add-item` of receipts."""


@contextmanager
def weenats_run(
    *arguments: str, cwd: Path
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run a service in a process group of its own.

    Returns:
        The process, and what it printed about itself.
    """
    with child_process(
        [sys.executable, "-m", "weenats_codegen", "run", *arguments, "--json"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, process.communicate()[1]
        yield process, json.loads(first)

"""What the start of a service takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from testkit.processes import python_environment

PROGRAM = "import fifty; print(fifty.measure(1) / fifty.measure_models())"


@pytest.mark.timing
def test_fifty_operations_start_fast() -> None:
    """A service with fifty operations takes at most twice the CPU of its models alone to start."""
    taken = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=Path(__file__).parent,
            env=python_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        taken.append(float(done.stdout))
        if taken[-1] < 2:
            return
    pytest.fail(f"only {taken}")

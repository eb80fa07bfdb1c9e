"""Without the OpenTelemetry SDK, calls work and traces are propagated."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import pytest

from testkit.paths import TESTKIT

SCRIPT: Final = TESTKIT / "without_sdk.py"


@pytest.mark.slow
def test_calls_work_without_the_sdk(nats_url: str) -> None:
    """No span is created, and an incoming trace is still propagated."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", SCRIPT, nats_url]
    subprocess.run(command, check=True, env=environment)

"""The runtime needs the API alone: without an SDK all works, and nothing is created."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from testkit.paths import TESTKIT

SCRIPT: Final = TESTKIT / "without_sdk.py"


def test_without_the_sdk_calls_work_and_traces_go_on(nats_url: str) -> None:
    """No span, no context; a trace that comes is handed on all the same."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", SCRIPT, nats_url]
    subprocess.run(command, check=True, timeout=60, env=environment)

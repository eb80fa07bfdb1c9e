"""The helpers of the test kit that start processes."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from testkit import processes
from testkit.processes import child_process

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def test_children_can_be_interrupted() -> None:
    """SIGINT has its default effect on child processes, wherever pytest was started."""
    program = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    with child_process([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.communicate()[0] == "True\n"


def test_children_are_killed_on_leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ignores SIGTERM does not outlive its block."""
    monkeypatch.setattr(processes, "_GRACE", 0.05)
    with child_process([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
    assert child.returncode == -signal.SIGKILL

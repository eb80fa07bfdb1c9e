"""Suspending child processes."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from testkit.processes import child_process
from weenats.testing import NatsServer
from weenats.testing.processes import suspend


def test_suspended_process_has_stopped(own_nats_server: NatsServer) -> None:
    """No thread of the process runs when suspend() returns."""
    process_id = own_nats_server.process_id
    for _ in range(50):
        suspend(process_id)
        stopped, status = os.waitpid(process_id, os.WUNTRACED | os.WNOHANG)
        assert stopped == process_id
        assert os.WIFSTOPPED(status)
        os.kill(process_id, signal.SIGCONT)


def test_suspending_twice(own_nats_server: NatsServer) -> None:
    """Suspending a process that is suspended does nothing."""
    suspend(own_nats_server.process_id)
    suspend(own_nats_server.process_id)


def test_suspending_a_process_that_ends() -> None:
    """The exit status is left for whoever started the process."""
    with child_process([sys.executable, "-c", "input()"], stdin=-1) as child:
        child.kill()
        suspend(child.pid)
        assert child.wait() == -signal.SIGKILL


def test_suspending_what_is_no_child() -> None:
    """Only a child can be waited for."""
    with pytest.raises(ProcessLookupError):
        suspend(2**22 + 1)  # ids are smaller

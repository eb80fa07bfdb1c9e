"""Suspending a child process, for nats-servers and services of tests that hang."""

import os
import signal
import sys

__all__ = ["suspend"]


def suspend(process_id: int) -> None:
    """Suspend a child process with SIGSTOP and wait until none of its threads runs.

    Its threads on other cores run on for a moment after `kill` has returned. If the process ends
    instead, its exit status is left for whoever started it.

    Args:
        process_id: the id of a child of this process.

    Raises:
        ProcessLookupError: there is no such process.
        ChildProcessError: it is not a child of this process.
    """
    os.kill(process_id, signal.SIGSTOP)
    if sys.platform != "darwin":  # where kill waits itself, and Python has waitid only since 3.13
        os.waitid(os.P_PID, process_id, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

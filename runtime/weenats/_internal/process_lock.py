"""Locks of a process for what threads share, and processes that it forks use as well."""

from __future__ import annotations

import os
from threading import RLock

__all__ = ["process_lock"]


def process_lock() -> RLock:
    """Return a lock for a module, for which a fork waits.

    A child that is forked while another thread has a lock has it locked for ever: there is no such
    thread in it. A fork takes the last lock first: one that is held while another one is taken must
    be made after that.
    """
    lock = RLock()  # its thread may be interrupted by a signal handler, which needs it too
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock

"""Locks that threads share stay usable in processes that are forked meanwhile."""

from __future__ import annotations

import pytest

from testkit.forks import fork, run_program

HOLD = """
import os
from importlib import import_module
from operator import attrgetter
from threading import Event, Thread

module, name = arguments
lock = attrgetter(name)(import_module(module))
has_it, is_forked = Event(), Event()

def hold():
    with lock:
        has_it.set()
        is_forked.wait(0.2)  # in vain: the fork waits for the lock

holder = Thread(target=hold)
holder.start()
has_it.wait()
child = os.fork()
if child == 0:
    is_free = lock.acquire(timeout=5)
    if is_free:
        lock.release()
        other = Thread(target=lock.acquire, daemon=True)
        other.start()
        other.join(5)
        is_free = not other.is_alive()
    os._exit(0 if is_free else 1)
is_forked.set()
holder.join()
with lock:
    send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(
    "lock",
    [
        ("weenats._internal.limited_log", "_LOCK"),
        ("weenats.telemetry.durations", "_LOCK"),
        ("weenats.telemetry.late_span", "_CONSTRUCTING"),
        ("weenats.telemetry.late_span", "LateSpan._lock"),
    ],
)
async def test_a_fork_waits_for_the_lock(lock: tuple[str, str]) -> None:
    """A child that is forked while a thread has the lock can take it, and so can its parent."""
    with fork(run_program, HOLD, *lock) as program:
        assert await program.receive() == 0

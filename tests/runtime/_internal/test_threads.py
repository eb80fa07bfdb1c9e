"""Daemon threads of the library: results, exceptions, and loops that end before them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from testkit.waiting import LIMIT, wait_for
from weenats._internal.threads import DaemonThreads, run_in_thread


def raising(error: BaseException) -> Callable[[], None]:
    """Return a function that raises an exception."""

    def call() -> None:
        raise error

    return call


async def test_result_and_exceptions_arrive() -> None:
    """The future has the result or the exception, which never ends the program."""
    assert await run_in_thread(threading.current_thread, "own") is not threading.current_thread()
    with pytest.raises(LookupError):
        await run_in_thread(raising(LookupError()), "own")
    for error in (StopIteration(), SystemExit()):
        with pytest.raises(RuntimeError, match=f"raised {type(error).__name__}"):
            await run_in_thread(raising(error), "own")


async def test_full_executor_does_not_delay_it() -> None:
    """It runs while the executor of the loop has no free thread."""
    held = threading.Event()
    waiting = [asyncio.create_task(asyncio.to_thread(held.wait, LIMIT)) for _ in range(100)]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(run_in_thread(lambda: 7, "own"), LIMIT) == 7
    held.set()
    await asyncio.gather(*waiting)


def test_loop_may_end_before_the_thread() -> None:
    """A result for a loop that is closed, or a future that is cancelled, is dropped."""
    held, ended = threading.Event(), threading.Event()

    def work() -> None:
        held.wait(LIMIT)
        ended.set()

    async def leave() -> None:
        run_in_thread(work, "own")
        run_in_thread(lambda: None, "own").cancel()

    asyncio.run(leave())
    held.set()
    assert ended.wait(LIMIT)


def test_threads_are_bounded_and_reused() -> None:
    """There are never more threads than allowed, idle ones take the next work, and they end."""
    threads = DaemonThreads(2)
    used: set[threading.Thread] = set()
    for _ in range(20):
        futures = [threads.submit(threading.current_thread) for _ in range(5)]
        used |= {each.result(LIMIT) for each in futures}
    assert len(used) <= 2
    threads.close()
    wait_for(lambda: not any(each.is_alive() for each in used))
    with pytest.raises(RuntimeError, match="after shutdown"):
        threads.submit(int)

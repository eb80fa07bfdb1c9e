"""Daemon threads: their work never waits for the executor, and never keeps the process."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

ResultT = TypeVar("ResultT")


def run_in_thread(call: Callable[[], ResultT], name: str) -> asyncio.Future[ResultT]:
    """Call a function in a new daemon thread.

    Unlike `asyncio.to_thread` it does not wait for a free thread of the loop's executor.

    Args:
        call: the function; it may block.
        name: the name of the thread.

    Returns:
        The future of its result, or of its exception.

    Raises:
        RuntimeError: the system cannot start another thread.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[ResultT] = loop.create_future()

    def run() -> None:
        done: Future[ResultT] = Future()
        _complete(done, call)
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(_copy, done, future)

    Thread(target=run, name=name, daemon=True).start()
    return future


class DaemonThreads:
    """A bounded number of threads, which do not delay the end of the process.

    Args:
        size: how many threads there are at most.
        name: the name of the threads.
    """

    def __init__(self, size: int, name: str = "weenats handlers") -> None:
        self._size = size
        self._name = name
        self._lock = Lock()
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads = 0
        self._unfinished = 0
        self._is_closed = False

    def submit(self, call: Callable[[], ResultT]) -> Future[ResultT]:
        """Call a function in one of the threads.

        Args:
            call: the function.

        Raises:
            RuntimeError: the threads were closed, or the system cannot start another one.
        """
        future: Future[ResultT] = Future()
        with self._lock:
            if self._is_closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._unfinished >= self._threads and self._threads < self._size:
                Thread(target=self._run, name=self._name, daemon=True).start()
                self._threads += 1
            self._unfinished += 1
            self._work.put((future, call))
        return future

    def close(self) -> None:
        """End the threads, each after the work that it does."""
        with self._lock:
            self._is_closed = True
            for _ in range(self._threads):
                self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, call = work
            if future.set_running_or_notify_cancel():
                _complete(future, call)
            del work, future, call  # else they live until the next work
            with self._lock:
                self._unfinished -= 1


def _complete(future: Future[ResultT], call: Callable[[], ResultT]) -> None:
    try:
        result = call()
    except (StopIteration, GeneratorExit) as error:
        # Who awaits the future would never wake up, or be closed instead.
        failure = RuntimeError(f"a function in a thread raised {type(error).__name__}")
        failure.__cause__ = error
        future.set_exception(failure)
    except BaseException as error:  # noqa: BLE001 - the future raises it
        future.set_exception(error)
    else:
        future.set_result(result)


def _copy(done: Future[ResultT], future: asyncio.Future[ResultT]) -> None:
    if future.done():
        return
    error = done.exception()
    if error is None:
        future.set_result(done.result())
    elif not isinstance(error, Exception):  # it would end the event loop
        future.set_exception(RuntimeError(f"a function in a thread raised {type(error).__name__}"))
    else:
        future.set_exception(error)

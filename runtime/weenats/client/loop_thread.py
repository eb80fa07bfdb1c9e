"""The event loop of synchronous clients: one for the process, in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast
from weakref import WeakSet

from weenats._internal.tasks import start_task
from weenats.errors import CancelledError, ConnectionClosedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

    from weenats.transport.base import Transport

__all__ = ["LoopThread", "is_on_loop_thread", "process_loop"]
_LOG: Final = logging.getLogger("weenats.client")
_EXIT_TIMEOUT: Final = 30.0
"""How long the end of the process waits for a loop that is blocked, in seconds."""
_ENDING: Final = "the process is ending: nothing was sent"
ResultT = TypeVar("ResultT")


class LoopThread:
    """An event loop that runs in a daemon thread until the end of the process.

    Raises:
        UnavailableError: the system cannot start another thread.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._transports: WeakSet[Transport] = WeakSet()
        self._thread = threading.Thread(target=self._run, name="weenats sync clients", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # also when the interpreter is ending
            self._loop.close()
            raise UnavailableError(f"synchronous clients need a thread: {error}") from error

    @property
    def is_current(self) -> bool:
        """Whether the calling code runs on this loop."""
        return self._thread.ident == threading.get_ident()

    @property
    def is_of_process(self) -> bool:
        """Whether the loop is that of this process, not of the one that it was forked from."""
        return _PROCESS.loop is self

    def run(self, coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run a coroutine on the loop, with the context variables of the caller, and wait for it.

        An exception in the waiting thread, such as KeyboardInterrupt, cancels the coroutine.

        Args:
            coroutine: the coroutine.

        Returns:
            Its result.

        Raises:
            RuntimeError: the caller runs on the loop, which it would block for ever.
            ConnectionClosedError: the loop has ended with the process.
            CancelledError: the coroutine was cancelled on the loop.
        """
        if self.is_current:
            coroutine.close()
            raise RuntimeError(
                "a synchronous client cannot be called on its own event loop, which it would block:"
                " use the async client in interceptors, token providers and other async functions"
            )
        call = _Call(self._loop, coroutine)
        try:
            self._loop.call_soon_threadsafe(call.start)  # copies the context
            call.done.acquire()
        except BaseException:
            if self._loop.is_closed():
                coroutine.close()
                raise ConnectionClosedError(_ENDING) from None
            self._loop.call_soon_threadsafe(call.cancel)
            raise
        return call.result()

    def close_at_exit(self, transport: Transport) -> None:
        """Close a connection at the end of the process, unless it is closed before.

        Args:
            transport: the connection, which belongs to this loop.
        """
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._transports.add, transport)

    def close(self) -> None:
        """Close the connections, and end the loop and its thread."""
        closing: Future[None] = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        try:
            closing.result(_EXIT_TIMEOUT)
        except TimeoutError:
            _LOG.warning("the event loop of synchronous clients is blocked: it was not closed")
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        await asyncio.gather(
            *(transport.close() for transport in self._transports), return_exceptions=True
        )
        tasks = asyncio.all_tasks() - {cast("asyncio.Task[Any]", asyncio.current_task())}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    def _run(self) -> None:
        while True:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # A task raised it. Other calls go on; the caller of this one gets it.
                _LOG.warning("%s was raised on the event loop of synchronous clients", repr(error))
            else:
                return


class _Call(Generic[ResultT]):
    """A coroutine that runs on the loop while the calling thread waits.

    It does what `run_coroutine_threadsafe` does with two futures and a condition, in less time. Its
    task has no result, which asyncio would show in the log when it is in debug mode.
    """

    __slots__ = ("_coroutine", "_loop", "_result", "_task", "done")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, ResultT]
    ) -> None:
        self._loop = loop
        self._coroutine = coroutine
        self._task: asyncio.Task[None] | None = None
        self._result: ResultT
        self.done = threading.Lock()
        self.done.acquire()

    def start(self) -> None:
        self._task = start_task(self._run())
        self._task.add_done_callback(self._finish)

    def cancel(self) -> None:
        if self._task is None:
            self._coroutine.close()
        else:
            self._task.cancel()

    def result(self) -> ResultT:
        task, self._task = cast("asyncio.Task[None]", self._task), None
        try:
            task.result()
        except asyncio.CancelledError:
            raise CancelledError("the call was cancelled on the event loop") from None
        else:
            return self._result
        finally:
            del task, self  # else the traceback of an exception refers to the exception

    async def _run(self) -> None:
        self._result = await self._coroutine

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._coroutine.close()  # it never began if the task was cancelled before
        if not task.cancelled():
            task.exception()  # asyncio would log it when the waiting thread was interrupted
        self.done.release()


class _Process:
    """What synchronous clients of one process share."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a signal handler may call while its thread has it
        self.loop: LoopThread | None = None
        self.has_ended = False
        self._of_parents: list[LoopThread | None] = []

    def begin(self) -> None:
        """Forget the loop of the parent process, whose thread does not exist after a fork."""
        self.lock = threading.RLock()
        # Never collected: closing it here would disturb the loop of the parent.
        self._of_parents.append(self.loop)
        self.loop = None

    def keep(self, loop: LoopThread) -> None:
        """Keep a new loop, unless a signal handler or a finalizer has started one meanwhile."""
        if self.loop is None:
            self.loop = loop
        else:
            loop.close()

    def end(self) -> None:
        """End the loop at the end of the process."""
        self.has_ended = True
        if self.loop is not None:
            self.loop.close()


_PROCESS: Final = _Process()
atexit.register(_PROCESS.end)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_PROCESS.begin)


def process_loop() -> LoopThread:
    """Return the event loop of all synchronous clients of this process; the first call starts it.

    Raises:
        ConnectionClosedError: the process is ending.
        UnavailableError: the system cannot start another thread.
    """
    loop = _PROCESS.loop
    if loop is not None:
        return loop
    with _PROCESS.lock:
        if _PROCESS.loop is None:
            if _PROCESS.has_ended:
                raise ConnectionClosedError(_ENDING)
            _PROCESS.keep(LoopThread())
        return cast("LoopThread", _PROCESS.loop)


def is_on_loop_thread() -> bool:
    """Return whether the calling code runs on the event loop of synchronous clients."""
    loop = _PROCESS.loop
    return loop is not None and loop.is_current

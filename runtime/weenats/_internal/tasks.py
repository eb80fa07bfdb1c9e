"""Starting and ending tasks, whose callers may be cancelled meanwhile."""

from __future__ import annotations

import asyncio
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

__all__ = ["cancel_and_wait", "ends_task", "finish", "in_context", "retrieve", "start_task"]
T = TypeVar("T")
_FINISHING: Final[set[asyncio.Task[None]]] = set()
"""The event loop does not keep its tasks from being garbage-collected."""


def start_task(work: Coroutine[Any, Any, T], *, context: Context | None = None) -> asyncio.Task[T]:
    """Start a task that begins when the code that is running waits, or has ended.

    The task factory of the application is not used: an eager one would run the work, perhaps to its
    end, before the caller has the task.

    Args:
        work: what the task does.
        context: its context variables; None for a copy of those of the caller.

    Raises:
        RuntimeError: no event loop of asyncio is running.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        work.close()  # or Python would warn that it was never awaited
        raise
    return asyncio.Task(work, loop=loop, context=context)


@coroutine
def in_context(context: Context, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Await a coroutine in the current task, with other context variables.

    A task of its own would not be the one that libraries know, as the owner of a transaction.

    Args:
        context: the context variables; what is set there stays there.
        work: the coroutine.

    Raises:
        BaseException: the coroutine raised it.
    """
    go_on: Callable[[Any], Any] = work.send
    received: Any = None
    while True:
        try:
            waits_for = context.run(go_on, received)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            received = None  # an error that was raised there refers to this frame
        try:
            go_on, received = work.send, (yield waits_for)
        except BaseException as error:  # noqa: BLE001 - it is raised in the coroutine
            go_on, received = work.throw, error


async def cancel_and_wait(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task and wait until it has ended, whatever it raises.

    Args:
        task: the task; None for none.
    """
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task])


async def finish(work: Coroutine[Any, Any, None], *, timeout: float | None = None) -> None:
    """Run work to its end, in the context of the caller; if that is cancelled, the work goes on.

    Args:
        work: what it does.
        timeout: after how many seconds the caller does not wait any more, and the work goes on;
            None for never.

    Raises:
        BaseException: the work raised it within this time.
    """
    task = start_task(work)
    _FINISHING.add(task)
    task.add_done_callback(_FINISHING.discard)
    task.add_done_callback(retrieve)  # perhaps nobody waits for it any more
    done, _ = await asyncio.wait([task], timeout=timeout)
    if done:
        task.result()


def ends_task(error: BaseException, task: asyncio.Task[Any] | None = None) -> bool:
    """Return whether an exception ends the task that catches it, or the process.

    Others are a failure of the code that raised them, which users may have written. They need not
    be subclasses of Exception: extensions in Rust raise others when they panic, whoever awaits a
    task that was cancelled gets CancelledError, and GeneratorExit is an exception as any other
    unless it closes a coroutine that has not ended.

    Args:
        error: the exception.
        task: the task that catches it; None if the code that raised it was called, not awaited:
            meanwhile its task can be neither cancelled nor closed.
    """
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return True
    if task is None or not isinstance(error, asyncio.CancelledError | GeneratorExit):
        return False
    try:
        is_closed = asyncio.current_task() is not task
    except RuntimeError:  # no event loop is running
        is_closed = True
    return is_closed or (isinstance(error, asyncio.CancelledError) and task.cancelling() > 0)


def retrieve(task: asyncio.Task[Any]) -> None:
    """Retrieve the exception of a task that has ended: asyncio would log it if nobody waits for it.

    Args:
        task: the task.
    """
    if not task.cancelled():
        task.exception()

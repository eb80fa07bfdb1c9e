"""Starting and ending tasks, whose callers may be cancelled meanwhile."""

from __future__ import annotations

import asyncio
import types
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

__all__ = ["cancel_and_wait", "ends_task", "finish", "retrieve", "start_task", "with_own_variables"]
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


@types.coroutine
def with_own_variables(work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Await work in a copy of the context of the caller: what it sets as context variables is lost.

    A task of its own does the same, but costs as much as a short handler.

    Args:
        work: what is awaited, in the current task.
    """
    run = copy_context().run
    step: Callable[[Any], Any] = work.send
    value: Any = None
    while True:
        try:
            waiting = run(step, value)
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            step, value = work.send, (yield waiting)
        except BaseException as error:  # noqa: BLE001 - of the task, such as its cancellation
            step, value = work.throw, error


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

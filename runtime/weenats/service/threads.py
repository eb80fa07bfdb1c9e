"""Threads of handlers: the process does not wait for them when its services have stopped."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from typing_extensions import override

from weenats._internal.threads import DaemonThreads
from weenats.context import CURRENT

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["HandlerThreads", "use_handler_threads"]
ResultT = TypeVar("ResultT")

_MAX_THREADS: Final = min(32, (os.cpu_count() or 1) + 4)
"""As many as in the executor of asyncio."""
_NAME: Final = "asyncio"


class HandlerThreads(ThreadPoolExecutor):
    """The default executor of an event loop that runs services.

    `asyncio.to_thread` in a handler cannot be interrupted. It uses threads of its own, which are
    abandoned when the event loop ends: a handler that blocks keeps the process no longer than the
    drain timeout. Other work uses the usual threads, and is waited for.
    """

    def __init__(self) -> None:
        super().__init__(_MAX_THREADS, thread_name_prefix=_NAME)
        self._of_handlers = DaemonThreads(_MAX_THREADS)

    @override
    def submit(self, fn: Callable[..., ResultT], /, *args: Any, **kwargs: Any) -> Future[ResultT]:
        if CURRENT.get() is None:
            return super().submit(fn, *args, **kwargs)
        return self._of_handlers.submit(partial(fn, *args, **kwargs))

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._of_handlers.close()
        super().shutdown(wait, cancel_futures=cancel_futures)


def use_handler_threads(loop: asyncio.AbstractEventLoop) -> None:
    """Make `HandlerThreads` the default executor, unless the application has set its own.

    Args:
        loop: the event loop; those of uvloop do not show their executor, and keep it.
    """
    current: object = vars(loop).get("_default_executor", loop)
    if current is None:
        loop.set_default_executor(HandlerThreads())
    elif type(current) is ThreadPoolExecutor and _is_of_asyncio(current):
        loop.set_default_executor(HandlerThreads())
        current.shutdown(wait=False)


def _is_of_asyncio(executor: ThreadPoolExecutor) -> bool:
    return bool(vars(executor).get("_thread_name_prefix") == _NAME)

"""Enters the lifespan of handlers when their service starts, and leaves it when it stops."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Final, cast

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task, retrieve, start_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from contextvars import Context

    from weenats.service.handlers import ServiceHandlers

__all__ = ["Lifespan"]
_LOG: Final = LimitedLogger("weenats.service")
_GRACE: Final = 0.5
"""Seconds that a lifespan has at least to be left, and to end once it is cancelled."""


class Lifespan:
    """The lifespan of the handlers of one instance.

    It is entered and left by one task, as task groups and timeouts require.

    Args:
        handlers: the handlers.
        variables: the context variables of the task.
        on_end: called when it ends after it was entered and before `leave` is called.
        loop_ends: returns whether the event loop ends, which cancels all tasks.

    Attributes:
        error: what it raised, None if nothing.
    """

    def __init__(
        self,
        handlers: ServiceHandlers,
        variables: Context,
        on_end: Callable[[], None],
        loop_ends: Callable[[], bool],
    ) -> None:
        self.error: Exception | None = None
        self._handlers = handlers
        self._name = handlers.contract.name
        self._variables = variables
        self._on_end = on_end
        self._loop_ends = loop_ends
        self._entered = asyncio.Event()
        self._is_entered = False
        self._leaving = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        """Run the handlers' lifespan up to its `yield`; when cancelled before, it is cancelled too.

        Raises:
            Exception: what the lifespan raised.
        """
        task = start_task(self._run(), context=self._variables.copy())
        self._task = task
        task.add_done_callback(self._on_done)
        try:
            await self._entered.wait()
        except asyncio.CancelledError:
            if not self._is_entered:  # else `leave` ends it
                task.cancel()
            raise
        if not self._is_entered and self.error is None:
            self.error = RuntimeError("the lifespan was cancelled before it yielded")
            _LOG.error(self._failure(), self._name, self.error, exc_info=self.error)
        if self.error is not None:
            raise self.error

    async def leave(self, timeout: float) -> None:
        """Run the rest of the lifespan; what it raises is logged.

        Args:
            timeout: the seconds after which it is cancelled, at least half a second.
        """
        self._leaving.set()
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=max(timeout, _GRACE))
        if not self._task.done():
            _LOG.error("the lifespan of %s does not end in time: it is cancelled", self._name)
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_GRACE)
            if not self._task.done():
                _LOG.error("the lifespan of %s does not end when it is cancelled", self._name)

    def abort(self) -> None:
        """Cancel the lifespan if it is being left."""
        if self._leaving.is_set() and self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        task = asyncio.current_task()
        try:
            async with _checked(self._handlers.lifespan()):
                self._is_entered = True
                self._entered.set()
                await self._leaving.wait()
        except BaseException as raised:
            if ends_task(raised, task):
                raise
            error = raised if isinstance(raised, Exception) else _wrapped(raised)
            self.error = error
            _LOG.error(self._failure(), self._name, _described(error), exc_info=error)

    def _failure(self) -> str:
        if self._leaving.is_set():
            return "the lifespan of %s failed while it was left: %s"
        if self._is_entered:
            return "%s stops: its lifespan failed: %s"
        return "%s does not start: its lifespan failed: %s"

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if self._is_entered and not (self._leaving.is_set() or self._loop_ends()):
            if self.error is None:
                self.error = RuntimeError("the lifespan ended while the service was running")
                _LOG.error("%s stops: its lifespan was cancelled", self._name)
            self._on_end()
        self._entered.set()
        retrieve(task)  # SystemExit and KeyboardInterrupt have reached the event loop already


def _checked(lifespan: object) -> AbstractAsyncContextManager[object]:
    if hasattr(lifespan, "__aenter__") and hasattr(lifespan, "__aexit__"):
        return cast("AbstractAsyncContextManager[object]", lifespan)
    if inspect.iscoroutine(lifespan):
        lifespan.close()  # or Python warns that it was never awaited
    raise TypeError(
        "lifespan() must return an async context manager: decorate it with"
        " contextlib.asynccontextmanager"
    )


def _wrapped(raised: BaseException) -> RuntimeError:
    """Return the error for what is no subclass of Exception, such as a panic in Rust."""
    error = RuntimeError(f"the lifespan raised {type(raised).__name__}")
    error.__cause__ = raised
    return error


def _described(error: Exception) -> str:
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a class whose __init__ calls no other may raise anything
        text = "its text cannot be read"
    return f"{name}: {text}" if text else name

"""One health check: how it is run, and what it found last."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from threading import Thread
from typing import Final

from weenats.protocol.messages import HealthCheckEntry

Check = Callable[[], bool | Awaitable[bool | None] | None]
"""True or None: it is well. False, any other value and any exception: it is in error."""

_LOG: Final = logging.getLogger("weenats.health")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, None when nothing is, and the exception that said so."""

    problem: str | None
    error: BaseException | None = None


class CheckRunner:
    """One check: it never runs twice at once, and what it found last is kept."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self._task: asyncio.Task[Finding] | None = None
        self._is_in_thread = False
        self._problem: str | None = None
        self.entry = self._entry("it has not run yet")

    def begin(self) -> asyncio.Task[Finding] | None:
        """Return the task that runs it now, None when it still runs since an earlier time."""
        if self._is_in_thread or (self._task is not None and not self._task.done()):
            return None
        self._task = asyncio.get_running_loop().create_task(self._judge(), context=Context())
        return self._task

    def cancel(self) -> asyncio.Task[Finding] | None:
        """Cancel what runs and return it; a thread goes on until it ends by itself."""
        return self._task if self._task is not None and self._task.cancel() else None

    def keep(self, finding: Finding) -> None:
        """Keep what was found; the log has the changes, and all of an exception."""
        problem, before = finding.problem, self._problem
        if problem is not None and problem != before:
            _LOG.warning("the health check %s: %s", self._name, problem, exc_info=finding.error)
        elif problem is None and before is not None:
            _LOG.info("the health check %s is well again", self._name)
        self._problem = problem
        self.entry = self._entry(problem)

    def _entry(self, problem: str | None) -> HealthCheckEntry:
        if problem is None:
            return HealthCheckEntry(name=self._name, status="ok")
        return HealthCheckEntry(name=self._name, status="error", message=problem)

    async def _judge(self) -> Finding:
        try:
            if inspect.iscoroutinefunction(self._check):
                answer: object = self._check()
            else:
                answer = await self._in_thread()
            if inspect.isawaitable(answer):
                answer = await answer
        except Exception as error:  # noqa: BLE001 - whatever it is, the check is in error
            return Finding(f"it raised {type(error).__name__}", error)
        if isinstance(answer, BaseException):
            return Finding(f"it raised {type(answer).__name__}", answer)
        if answer is None or answer is True:
            return Finding(None)
        told = "False" if answer is False else f"{type(answer).__name__}, not True, False or None"
        return Finding(f"it returned {told}")

    def _in_thread(self) -> asyncio.Future[object]:
        """Call it in a thread of its own and return what it returned or raised.

        The thread keeps no process from ending: those of the loop's executor would.
        """
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[object] = loop.create_future()

        def call() -> None:
            try:
                answer: object = self._check()
            except BaseException as error:  # noqa: BLE001 - it ends the thread at most
                answer = error
            self._is_in_thread = False
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_answer, answered, answer)

        self._is_in_thread = True
        try:
            Thread(target=call, name=f"health check {self._name}", daemon=True).start()
        except RuntimeError:  # the machine has no thread to spare
            self._is_in_thread = False
            raise
        return answered


def _answer(answered: asyncio.Future[object], answer: object) -> None:
    if not answered.done():
        answered.set_result(answer)

"""Runs one health check and keeps its latest result."""

import asyncio
import inspect
from contextvars import Context
from dataclasses import dataclass
from typing import Final, cast

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task, start_task
from weenats._internal.threads import run_in_thread
from weenats._internal.tracebacks import release_frames
from weenats.protocol.messages import HealthCheckEntry
from weenats.service.health.settings import Check

__all__ = ["CheckResult", "CheckRunner"]

_LOG: Final = LimitedLogger("weenats.health")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one run.

    Attributes:
        problem: what is wrong, None if the check is ok.
        error: the exception that the check raised, if any.
    """

    problem: str | None
    error: BaseException | None = None


class CheckRunner:
    """Runs one check, at most once at a time.

    Args:
        name: name of the check.
        check: the check.
        variables: the context variables of its runs.

    Attributes:
        entry: the latest result, for replies to health requests.
    """

    def __init__(self, name: str, check: Check, variables: Context) -> None:
        self._name = name
        self._check = check
        self._variables = variables
        self._task: asyncio.Task[CheckResult] | None = None
        self._is_in_thread = False
        self._problem: str | None = None
        self.entry = self._entry("the check has not run yet")

    def start(self) -> asyncio.Task[CheckResult] | None:
        """Start a run and return its task, None if an earlier run has not ended."""
        if self._is_in_thread or (self._task is not None and not self._task.done()):
            return None
        self._task = start_task(self._run(), context=self._variables.copy())
        return self._task

    def cancel(self) -> asyncio.Task[CheckResult] | None:
        """Cancel a run and return its task, None if there is none; a thread runs to its end."""
        return self._task if self._task is not None and self._task.cancel() else None

    def set_result(self, result: CheckResult) -> None:
        """Store a result, and log it if it differs from the one before.

        Args:
            result: the result of the latest run.
        """
        problem, before = result.problem, self._problem
        if problem is not None and problem != before:
            _LOG.warning(
                "the health check %s failed: %s", self._name, problem, exc_info=result.error
            )
        elif problem is None and before is not None:
            _LOG.info("the health check %s is ok again", self._name)
        self._problem = problem
        self.entry = self._entry(problem)
        if result.error is not None:
            release_frames(result.error)

    def _entry(self, problem: str | None) -> HealthCheckEntry:
        if problem is None:
            return HealthCheckEntry(name=self._name, status="ok")
        return HealthCheckEntry(name=self._name, status="error", message=problem)

    async def _run(self) -> CheckResult:
        task = asyncio.current_task()
        try:
            is_async = inspect.iscoroutinefunction(self._check)
            value: object = self._check() if is_async else await self._run_in_thread()
            return _result(await value if inspect.isawaitable(value) else value)
        except BaseException as error:  # any exception is a failed check
            if ends_task(error, task):
                raise
            return _result(error)

    def _run_in_thread(self) -> asyncio.Future[object]:
        """Call the check in a new thread; the result of the future is that or the exception."""

        def call() -> object:
            try:
                return self._check()
            except BaseException as error:  # noqa: BLE001 - SystemExit is a failed check as well
                return error
            finally:
                self._is_in_thread = False

        self._is_in_thread = True
        try:
            return run_in_thread(call, f"health check {self._name}")
        except RuntimeError:  # the system cannot start another thread
            self._is_in_thread = False
            raise


def _result(value: object) -> CheckResult:
    """Return the result of a check that returned a value, or raised it."""
    if issubclass(type(value), BaseException):
        error = cast("BaseException", value)
        return CheckResult(f"the check raised {type(error).__name__}", error)
    if value is None or value is True:
        return CheckResult(None)
    shown = "False" if value is False else f"{type(value).__name__}, not True, False or None"
    return CheckResult(f"the check returned {shown}")

"""The health checks of a service, which run in the background; requests get the latest results."""

import asyncio
import math
from collections.abc import Callable
from contextvars import Context
from typing import Final

from weenats._internal.periodic import Periodic
from weenats.protocol.messages import HealthCheckEntry
from weenats.protocol.timeouts import seconds
from weenats.service.health.check_runner import CheckResult, CheckRunner
from weenats.service.health.settings import HealthSettings

__all__ = ["HealthChecks"]

_CANCEL_TIMEOUT: Final = 1.0
"""Seconds that cancelled checks have to end."""


class HealthChecks:
    """Runs all checks concurrently, at the start and then at an interval.

    A check that exceeds the timeout is cancelled and fails. If it continues nevertheless, as a
    thread does, it is not started again until it ends.

    Args:
        settings: the checks, their interval and timeout.
        on_result: called at the end of every run.
        variables: the context variables of the checks; None for an empty context.
    """

    def __init__(
        self,
        settings: HealthSettings,
        on_result: Callable[[], None] = lambda: None,
        variables: Context | None = None,
    ) -> None:
        variables = Context() if variables is None else variables
        checks = settings.checks if settings.enabled else ()
        self._checks = [CheckRunner(each["name"], each["check"], variables) for each in checks]
        self._timeout = seconds(settings.timeout)
        self._periodic = Periodic(self._run, seconds(settings.interval))
        self._on_result = on_result

    def seconds_until_ok(self) -> float:
        """Return 0 if all checks are ok, else infinity, since the time of recovery is unknown."""
        return 0.0 if all(check.entry.status == "ok" for check in self._checks) else math.inf

    @property
    def entries(self) -> list[HealthCheckEntry]:
        """The latest result of each check."""
        return [check.entry for check in self._checks]

    async def start(self) -> None:
        """Run the checks once, for at most `timeout`, and start running them in the background."""
        if self._checks:
            await self._run()
            self._periodic.start()

    async def close(self, timeout: float = _CANCEL_TIMEOUT) -> None:
        """Stop running the checks.

        Args:
            timeout: how long cancelled checks may take to end, in seconds, at most 1.
        """
        await self._periodic.close()
        cancelled = [task for check in self._checks if (task := check.cancel()) is not None]
        if cancelled:
            await asyncio.wait(cancelled, timeout=min(timeout, _CANCEL_TIMEOUT))

    async def _run(self) -> None:
        started = [(check, check.start()) for check in self._checks]
        if tasks := [task for _, task in started if task is not None]:
            await asyncio.wait(tasks, timeout=self._timeout)
        for check, task in started:
            check.set_result(self._result(task))
            if task is not None:
                task.cancel()
        self._on_result()

    def _result(self, task: asyncio.Task[CheckResult] | None) -> CheckResult:
        if task is None:
            return CheckResult("an earlier run of the check has not ended")
        if not task.done():
            return CheckResult(f"the check took longer than {self._timeout:g} s")
        return CheckResult("the check was cancelled") if task.cancelled() else task.result()

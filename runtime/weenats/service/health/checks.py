"""The health checks of a service: they run in the background, what they found last is kept.

Nothing runs when somebody asks.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

from weenats._internal.periodic import Periodic
from weenats.service.health.check_runner import CheckRunner, Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from weenats.protocol.messages import HealthCheckEntry
    from weenats.service.health.settings import HealthSettings

_GRACE: Final = 1.0
"""Seconds that checks have to end when they are cancelled."""


class HealthChecks:
    """Runs the checks of a service together: when it starts, and so often from then on.

    A check that does not answer within the timeout is cancelled and in error. It is not begun again
    while it runs all the same, as a thread may.
    """

    def __init__(self, settings: HealthSettings) -> None:
        checks = settings.checks if settings.enabled else ()
        self._checks = [CheckRunner(each["name"], each["check"]) for each in checks]
        self._timeout = settings.timeout
        self._periodic = Periodic(self._run, settings.interval)
        self._on_result: Callable[[], None] | None = None

    def seconds_until_well(self) -> float:
        """Return 0 while all is well, and infinity while nobody knows when it will be."""
        return 0.0 if all(check.entry.status == "ok" for check in self._checks) else math.inf

    def on_result(self, review: Callable[[], None]) -> None:
        """Call this whenever the checks have run."""
        self._on_result = review

    @property
    def entries(self) -> list[HealthCheckEntry]:
        """What each check found last."""
        return [check.entry for check in self._checks]

    async def start(self) -> None:
        """Run the checks once, which takes `timeout` at most, and then in the background."""
        if self._checks:
            await self._run()
            self._periodic.start()

    async def close(self) -> None:
        """Run the checks no more."""
        await self._periodic.close()
        cancelled = [task for check in self._checks if (task := check.cancel()) is not None]
        if cancelled:
            await asyncio.wait(cancelled, timeout=_GRACE)

    async def _run(self) -> None:
        begun = [(check, check.begin()) for check in self._checks]
        if tasks := [task for _, task in begun if task is not None]:
            await asyncio.wait(tasks, timeout=self._timeout)
        for check, task in begun:
            check.keep(self._finding(task))
            if task is not None:
                task.cancel()
        if self._on_result is not None:
            self._on_result()

    def _finding(self, task: asyncio.Task[Finding] | None) -> Finding:
        if task is None:
            return Finding("it still runs since an earlier time")
        if not task.done():
            return Finding(f"it took longer than {self._timeout:g} s")
        return Finding("it was cancelled") if task.cancelled() else task.result()

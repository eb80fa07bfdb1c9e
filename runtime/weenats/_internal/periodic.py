"""A background task that runs an action periodically."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Final

from weenats._internal.tasks import cancel_and_wait, ends_task, start_task

_LOG: Final = logging.getLogger("weenats.periodic")


class Periodic:
    """Runs an action periodically, from `start` to `close`.

    Exceptions of the action are logged, and it runs again.

    Args:
        action: an async function.
        interval: the pause before each run, in seconds.
    """

    def __init__(self, action: Callable[[], Awaitable[None]], interval: float) -> None:
        self._action = action
        self._interval = interval
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task in the running loop."""
        # An empty context: the task belongs to no request and no trace.
        self._task = start_task(self._run(), context=Context())

    async def close(self) -> None:
        """Stop the task; an action that is running is cancelled."""
        task, self._task = self._task, None
        await cancel_and_wait(task)

    async def _run(self) -> None:
        task = asyncio.current_task()
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self._action()
            except BaseException as error:
                if ends_task(error, task):
                    raise
                _LOG.exception("unexpected error in a task that runs every %g s", self._interval)

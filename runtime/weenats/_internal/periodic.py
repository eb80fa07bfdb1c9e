"""Work in the background of a service that comes again and again."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_LOG: Final = logging.getLogger("weenats.periodic")


class Periodic:
    """From `start` to `close` runs an action, `interval` seconds after it ran last.

    An action that raises is logged and runs again.
    """

    def __init__(self, action: Callable[[], Awaitable[None]], interval: float) -> None:
        self._action = action
        self._interval = interval
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to wait, within the running loop."""
        # It belongs to nobody who may have started the service: not to a request, not to a trace.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())

    async def close(self) -> None:
        """Run it no more; an action that runs is cancelled."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self._action()
            except Exception:  # noqa: BLE001 - whatever it is, the next time may be better
                _LOG.exception("what runs every %g s ended in a defect", self._interval)

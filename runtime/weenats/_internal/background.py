"""Tasks that go on when the request that began them has ended."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING

from weenats._internal.tasks import start_task

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Background"]


class Background:
    """A set of running tasks."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many are running."""
        return len(self._tasks)

    def run(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Start a task in an empty context: it belongs to no request and no trace.

        Args:
            work: what it does; it must not raise.

        Returns:
            The task. Who waits for it shields it, or its own cancellation would end it.
        """
        task = start_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self, timeout: float) -> None:
        """Wait for the tasks, and cancel those that are left after a timeout.

        Args:
            timeout: the timeout in seconds.
        """
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=timeout)
            for task in left:
                task.cancel()

"""Looking after something in the background, for as long as it is in use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextvars import Context
from typing import TYPE_CHECKING

from weenats._internal.tasks import start_task

if TYPE_CHECKING:
    import asyncio

__all__ = ["Watcher"]


class Watcher(ABC):
    """Looks at something from time to time, from `start` to `close`."""

    _watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        # An empty context: the task belongs to no request and no trace.
        self._watching = start_task(self._watch(), context=Context())

    def close(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()

    @abstractmethod
    async def _watch(self) -> None:
        """Look again and again, without an end."""

"""What the tasks of one running service share, and what ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Final, Protocol

from weenats.protocol.messages import HealthCheckEntry

__all__ = ["SCOPE", "Check", "Scope", "Work"]
Check = Callable[[], HealthCheckEntry]
"""Returns the present health of something that runs in the background."""


class Work(Protocol):
    """Work in the background that ends with a service: a subscription to events."""

    async def end(self, timeout: float) -> None:
        """Take nothing new, finish what has begun, and abort the rest.

        Args:
            timeout: how long it may take, in seconds.
        """
        ...

    def abort(self) -> None:
        """Abort what runs."""
        ...


class Scope:
    """One running service, as the tasks of its requests, events and lifespan see it.

    Attributes:
        variables: the context variables of these tasks.
    """

    def __init__(self) -> None:
        self.variables = Context()
        self.variables.run(SCOPE.set, self)
        self._works: dict[Work, Check | None] = {}

    def add(self, work: Work, check: Check | None = None) -> None:
        """Let work end with the service.

        Args:
            work: the work.
            check: returns its health; None if it has none.
        """
        self._works[work] = check

    def health_checks(self) -> list[HealthCheckEntry]:
        """Return the health of all work."""
        return [check() for check in self._works.values() if check is not None]

    def discard(self, work: Work) -> None:
        """Forget work that has ended.

        Args:
            work: the work.
        """
        self._works.pop(work, None)

    async def end(self, timeout: float) -> None:
        """End all work at the same time.

        Args:
            timeout: how long it may take, in seconds.
        """
        await asyncio.gather(*(work.end(timeout) for work in self._works))

    def abort(self) -> None:
        """Abort all work."""
        for work in self._works:
            work.abort()


SCOPE: Final[ContextVar[Scope | None]] = ContextVar("weenats_scope", default=None)
"""The service whose request, event or lifespan the running task serves."""

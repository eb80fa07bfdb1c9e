"""A stream that a service needs while it runs, and that somebody may edit or delete."""

from __future__ import annotations

import asyncio
from logging import ERROR, WARNING
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.watcher import Watcher
from weenats.errors import FailedPreconditionError, ServiceError
from weenats.protocol.messages import HealthCheckEntry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["StreamUpkeep"]
_LOG: Final = LimitedLogger("weenats.streams")
_INTERVAL: Final = 15.0
"""Seconds between two looks at the stream."""
_AGAIN: Final = 1.0
"""The same while it cannot be used."""


class StreamUpkeep(Watcher):
    """Looks from time to time, from `start` to `close`, whether a stream can be used.

    Args:
        name: what the stream keeps; the name of the health check that fails while it cannot.
        ensure: creates the stream again, or raises a ServiceError that says why it cannot be used.
    """

    def __init__(self, name: str, ensure: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._ensure = ensure
        self._problem = ""

    def health_checks(self) -> Sequence[HealthCheckEntry]:
        """Return the check that fails; none while the stream can be used."""
        if not self._problem:
            return ()
        return (HealthCheckEntry(name=self._name, status="error", message=self._problem),)

    @override
    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_AGAIN if self._problem else _INTERVAL)
            try:
                await self._ensure()
            except ServiceError as error:
                if str(error) != self._problem:
                    # Else the connection or the server is away, and will be back.
                    level = ERROR if isinstance(error, FailedPreconditionError) else WARNING
                    _LOG.log(level, "%s: %s", self._name, error)
                self._problem = str(error)
            else:
                self._problem = ""

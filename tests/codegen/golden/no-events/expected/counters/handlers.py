# A stub: `weenats generate` replaces it until you change it. Checksum: 014ac3a4225adcb5
"""The handlers of counters: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.errors import UnimplementedError

from .models import HistoryParameters, HistoryResult, Increase, IncreaseResult, Reset
from .service import CountersHandlers


class Counters(CountersHandlers):
    """Counts."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def increase(
        self, key: str, command: Increase, context: RequestContext
    ) -> IncreaseResult:
        """Count on."""
        raise UnimplementedError

    @override
    async def reset(self, key: str, command: Reset, context: RequestContext) -> None:
        """Start again."""
        raise UnimplementedError

    @override
    async def history(
        self, key: str, query: HistoryParameters, context: RequestContext
    ) -> HistoryResult:
        """Show what it was."""
        raise UnimplementedError

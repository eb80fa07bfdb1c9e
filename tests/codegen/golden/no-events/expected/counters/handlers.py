# A stub: `weenats generate` replaces it until you change it. Checksum: 45510bdfffdfbd59
"""The handlers of counters: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.errors import UnimplementedError

from .models import HistoryParameters, HistoryResult, Increase, IncreaseResult, Reset
from .service import CountersHandlers


class Counters(CountersHandlers):
    """Counts."""

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

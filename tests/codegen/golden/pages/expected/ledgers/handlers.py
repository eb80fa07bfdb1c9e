# A stub: `weenats generate` replaces it until you change it. Checksum: 1c2abdfe6ac2bb04
"""The handlers of ledgers: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import (
    Ledger,
    ListEntriesParameters,
    ListEntriesResult,
    ListTagsParameters,
    ListTagsResult,
)
from .service import LedgersHandlers


class Ledgers(LedgersHandlers):
    """Keeps entries, and lists them in pages."""

    @override
    async def get(self, key: str, context: RequestContext) -> Entity[Ledger]:
        """Show the ledger."""
        raise UnimplementedError

    @override
    async def list_entries(
        self, key: str, query: ListEntriesParameters, context: RequestContext
    ) -> ListEntriesResult:
        """List the entries, the newest first."""
        raise UnimplementedError

    @override
    async def list_tags(
        self, key: str, query: ListTagsParameters, context: RequestContext
    ) -> ListTagsResult:
        """List the tags of all entries."""
        raise UnimplementedError

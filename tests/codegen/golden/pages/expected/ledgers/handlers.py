# A stub: `weenats generate` replaces it until you change it. Checksum: 9a2bce3d8e91eb3a
"""The handlers of ledgers: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import (
    Ledger,
    LedgerKey,
    ListEntriesParameters,
    ListEntriesResult,
    ListTagsParameters,
    ListTagsResult,
)
from .service import LedgersHandlers


class Ledgers(LedgersHandlers):
    """Keeps entries, and lists them in pages."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def get_ledger(self, key: LedgerKey, context: RequestContext) -> Entity[Ledger]:
        """Show the ledger."""
        raise UnimplementedError

    @override
    async def list_entries(
        self, key: LedgerKey, query: ListEntriesParameters, context: RequestContext
    ) -> ListEntriesResult:
        """List the entries, the newest first."""
        raise UnimplementedError

    @override
    async def list_tags(self, query: ListTagsParameters, context: RequestContext) -> ListTagsResult:
        """List the tags of all entries."""
        raise UnimplementedError

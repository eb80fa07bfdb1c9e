# A stub: `weenats generate` replaces it until you change it. Checksum: b2ec62c947cbc38f
"""The handlers of archive: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.errors import UnimplementedError

from .models import FetchResult, Store
from .service import ArchiveHandlers


class Archive(ArchiveHandlers):
    """Keeps documents."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def store(self, key: str, command: Store, context: RequestContext) -> None:
        """Store a document."""
        raise UnimplementedError

    @override
    async def fetch(self, key: str, context: RequestContext) -> FetchResult:
        """Fetch a document."""
        raise UnimplementedError

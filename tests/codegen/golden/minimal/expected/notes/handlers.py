# A stub: `weenats generate` replaces it until you change it. Checksum: ad36a95a4e9af684
"""The handlers of notes: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Note
from .service import NotesHandlers


class Notes(NotesHandlers):
    """Keeps notes."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def get_note(self, key: str, context: RequestContext) -> Entity[Note]:
        """Show the note."""
        raise UnimplementedError

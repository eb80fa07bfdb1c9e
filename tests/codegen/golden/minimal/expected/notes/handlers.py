# A stub: `weenats generate` replaces it until you change it. Checksum: 7191aca02eee4352
"""The handlers of notes: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Note
from .service import NotesHandlers


class Notes(NotesHandlers):
    """Keeps notes."""

    @override
    async def get_note(self, key: str, context: RequestContext) -> Entity[Note]:
        """Show the note."""
        raise UnimplementedError

# A stub: `weenats generate` replaces it until you change it. Checksum: bad200b176adccd5
"""The handlers of library: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Book, FindParameters, FindResult, GiveBack, Lend
from .service import LibraryHandlers


class Library(LibraryHandlers):
    """Lends books.

    Everything that a contract may hold is here: several errors of each kind, commands with and
    without results, queries with and without parameters, and events.

    A second paragraph, so that documentation has a body.
    """

    @override
    async def lend(self, key: str, command: Lend, context: RequestContext) -> Book:
        """Lend the book to a reader."""
        raise UnimplementedError

    @override
    async def give_back(self, key: str, command: GiveBack, context: RequestContext) -> None:
        """Take the book back."""
        raise UnimplementedError

    @override
    async def get_book(self, key: str, context: RequestContext) -> Entity[Book]:
        """Show the book."""
        raise UnimplementedError

    @override
    async def find(self, key: str, query: FindParameters, context: RequestContext) -> FindResult:
        """Find books by what their titles hold."""
        raise UnimplementedError

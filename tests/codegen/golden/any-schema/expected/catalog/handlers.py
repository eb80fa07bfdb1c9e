# A stub: `weenats generate` replaces it until you change it. Checksum: a88a5738d840a2d0
# pyright: reportDeprecated=false
"""The handlers of catalog: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import (
    FindParameters,
    FindResult,
    Price,
    Product,
    Rename,
    RenameResult,
    Ship,
    ShipResult,
    Tag,
    TagResult,
)
from .service import CatalogHandlers


class Catalog(CatalogHandlers):
    """Any JSON Schema is a payload, and each is enforced exactly."""

    @override
    async def tag(self, key: str, command: Tag, context: RequestContext) -> TagResult:
        """Replace the tags."""
        raise UnimplementedError

    @override
    async def price(self, key: str, command: Price, context: RequestContext) -> None:
        """Change the price."""
        raise UnimplementedError

    @override
    async def ship(self, key: str, command: Ship, context: RequestContext) -> ShipResult:
        """Send it by one of several ways."""
        raise UnimplementedError

    @override
    async def rename(self, key: str, command: Rename, context: RequestContext) -> RenameResult:
        """Give it a name."""
        raise UnimplementedError

    @override
    async def get_product(self, key: str, context: RequestContext) -> Entity[Product]:
        """Show the product."""
        raise UnimplementedError

    @override
    async def find(self, key: str, query: FindParameters, context: RequestContext) -> FindResult:
        """Find products."""
        raise UnimplementedError

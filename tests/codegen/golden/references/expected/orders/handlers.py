# A stub: `weenats generate` replaces it until you change it. Checksum: 995366ba216b44e9
"""The handlers of orders: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Order
from .service import OrdersHandlers


class Orders(OrdersHandlers):
    """Schemas in several files, JSON and YAML, in folders, with names of their own."""

    @override
    async def get_order(self, key: str, context: RequestContext) -> Entity[Order]:
        """Show the order."""
        raise UnimplementedError

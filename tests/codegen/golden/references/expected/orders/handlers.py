# A stub: `weenats generate` replaces it until you change it. Checksum: c9ddfa4a1b90d914
"""The handlers of orders: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Order
from .service import OrdersHandlers


class Orders(OrdersHandlers):
    """Schemas in several files, JSON and YAML, in folders, with names of their own."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def get_order(self, key: str, context: RequestContext) -> Entity[Order]:
        """Show the order."""
        raise UnimplementedError

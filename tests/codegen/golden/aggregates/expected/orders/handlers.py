# A stub: `weenats generate` replaces it until you change it. Checksum: 3b677297b9704ed1
"""The handlers of orders: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import (
    Customer,
    CustomerKey,
    GetCustomerParameters,
    HistoryResult,
    ImportBatch,
    ImportBatchResult,
    Order,
    OrderKey,
    PingResult,
    SearchParameters,
    SearchResult,
    Write,
)
from .service import OrdersHandlers


class Orders(OrdersHandlers):
    """Takes orders of customers."""

    @override
    async def place(self, key: OrderKey, command: Order, context: RequestContext) -> None:
        """Place the order."""
        raise UnimplementedError

    @override
    async def write(self, key: str, command: Write, context: RequestContext) -> None:
        """Write it."""
        raise UnimplementedError

    @override
    async def import_batch(
        self, command: ImportBatch, context: RequestContext
    ) -> ImportBatchResult:
        """Import many orders."""
        raise UnimplementedError

    @override
    async def get_order(self, key: OrderKey, context: RequestContext) -> Entity[Order]:
        """Show the order."""
        raise UnimplementedError

    @override
    async def history(self, key: OrderKey, context: RequestContext) -> HistoryResult:
        """Show what happened to the order."""
        raise UnimplementedError

    @override
    async def get_customer(
        self, key: CustomerKey, query: GetCustomerParameters, context: RequestContext
    ) -> Entity[Customer]:
        """Show the customer."""
        raise UnimplementedError

    @override
    async def search(self, query: SearchParameters, context: RequestContext) -> SearchResult:
        """Find orders."""
        raise UnimplementedError

    @override
    async def ping(self, context: RequestContext) -> PingResult:
        """Answer."""
        raise UnimplementedError

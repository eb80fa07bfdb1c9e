# A stub: `weenats generate` replaces it until you change it. Checksum: ea8798079bd0ee2a
"""The handlers of billing: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Bill
from .service import BillingHandlers


class Billing(BillingHandlers):
    """Sends bills."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def get_bill(self, key: str, context: RequestContext) -> Entity[Bill]:
        """Show the bill."""
        raise UnimplementedError

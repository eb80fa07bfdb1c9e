# A stub: `weenats generate` replaces it until you change it. Checksum: 961a01907e3b7beb
"""The handlers of my-billing: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import MyBilling
from .service import MyBillingHandlers


class MyBillingService(MyBillingHandlers):
    """A package with a name of its own."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def get_my_billing(self, key: str, context: RequestContext) -> Entity[MyBilling]:
        """Show it."""
        raise UnimplementedError

# A stub: `weenats generate` replaces it until you change it. Checksum: 3e7cb1e1b220541f
"""The handlers of deliveries: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.errors import UnimplementedError

from .models import Address, Deliver, LocateParameters, Weight
from .service import DeliveriesHandlers


class Deliveries(DeliveriesHandlers):
    """Delivers what others send."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def deliver(self, command: Deliver, context: RequestContext) -> Weight:
        """Deliver something."""
        raise UnimplementedError

    @override
    async def locate(self, query: LocateParameters, context: RequestContext) -> Address:
        """Find an address."""
        raise UnimplementedError

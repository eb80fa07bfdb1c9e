# A stub: `weenats generate` replaces it until you change it. Checksum: 88df03145f0a27bd
# pyright: reportDeprecated=false
"""The handlers of parcels: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override

from .service import ParcelsHandlers


class Parcels(ParcelsHandlers):
    """Follows parcels to the door."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

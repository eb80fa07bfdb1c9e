# A stub: `weenats generate` replaces it until you change it. Checksum: 7ce7bdf97908842c
# pyright: reportDeprecated=false
"""The handlers of parcels: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import CountResult, Label, ListParcelsParameters, ListParcelsResult, Parcel
from .service import ParcelsHandlers


class Parcels(ParcelsHandlers):
    """Delivers parcels."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def send(self, key: str, command: Label, context: RequestContext) -> None:
        """Use `dispatch` instead. It also insures the parcel."""
        raise UnimplementedError

    @override
    async def dispatch(self, key: str, command: Label, context: RequestContext) -> None:
        """Send a parcel."""
        raise UnimplementedError

    @override
    async def get_parcel(self, key: str, context: RequestContext) -> Entity[Parcel]:
        """Show where a parcel is."""
        raise UnimplementedError

    @override
    async def list_parcels(
        self, query: ListParcelsParameters, context: RequestContext
    ) -> ListParcelsResult:
        """List parcels. Slow."""
        raise UnimplementedError

    @override
    async def count(self, context: RequestContext) -> CountResult:
        """Count parcels."""
        raise UnimplementedError

# A stub: `weenats generate` replaces it until you change it. Checksum: 777ed1e3d6cab9d6
"""The handlers of shapes: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Drawing
from .service import ShapesHandlers


class Shapes(ShapesHandlers):
    """Objects within objects, lists, maps, choices and trees."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def get_drawing(self, key: str, context: RequestContext) -> Entity[Drawing]:
        """Show the drawing."""
        raise UnimplementedError

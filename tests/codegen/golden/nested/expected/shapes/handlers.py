# A stub: `weenats generate` replaces it until you change it. Checksum: 31ec6335d11474ef
"""The handlers of shapes: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Drawing
from .service import ShapesHandlers


class Shapes(ShapesHandlers):
    """Objects within objects, lists, maps, choices and trees."""

    @override
    async def get_drawing(self, key: str, context: RequestContext) -> Entity[Drawing]:
        """Show the drawing."""
        raise UnimplementedError

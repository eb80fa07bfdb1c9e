# A stub: `weenats generate` replaces it until you change it. Checksum: f853195ca25cfc6c
"""The handlers of sensors: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Sensor
from .service import SensorsHandlers


class Sensors(SensorsHandlers):
    """Wire names that are no Python names, and what they become."""

    @override
    async def get(self, key: str, context: RequestContext) -> Entity[Sensor]:
        """Show the sensor."""
        raise UnimplementedError

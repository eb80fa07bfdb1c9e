# A stub: `weenats generate` replaces it until you change it. Checksum: 27f288d2e4a148af
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
    async def get_sensor(self, key: str, context: RequestContext) -> Entity[Sensor]:
        """Show the sensor."""
        raise UnimplementedError

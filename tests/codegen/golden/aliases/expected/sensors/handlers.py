# A stub: `weenats generate` replaces it until you change it. Checksum: 85026acf6071f573
"""The handlers of sensors: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Sensor
from .service import SensorsHandlers


class Sensors(SensorsHandlers):
    """Wire names that are no Python names, and what they become."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def get_sensor(self, key: str, context: RequestContext) -> Entity[Sensor]:
        """Show the sensor."""
        raise UnimplementedError

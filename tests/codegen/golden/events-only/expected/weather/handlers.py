# A stub: `weenats generate` replaces it until you change it. Checksum: 84b76473ed406c13
"""The handlers of weather: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override

from .service import WeatherHandlers


class Weather(WeatherHandlers):
    """Tells what the weather does; nobody asks it anything."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

# A stub: `weenats generate` replaces it until you change it. Checksum: 09b1ffd3825b8fc0
"""The handlers of weather: what each operation does."""

from .service import WeatherHandlers


class Weather(WeatherHandlers):
    """Tells what the weather does; nobody asks it anything."""

# A stub: `weenats generate` replaces it until you change it. Checksum: 3a1e4c1d2d841067
"""The handlers of weather: one for each operation."""

from .service import WeatherHandlers


class Weather(WeatherHandlers):
    """Tells what the weather does; nobody asks it anything."""

# A stub: `weenats generate` replaces it until you change it. Checksum: d96f3d8bd7da4fb5
"""The handlers of pumps: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Prime, Pump, SampleResult, Start, Stop
from .service import PumpsHandlers


class Pumps(PumpsHandlers):
    """Moves water, but not too much of it."""

    @override
    async def start(self, key: str, command: Start, context: RequestContext) -> None:
        """Start the pump."""
        raise UnimplementedError

    @override
    async def stop(self, key: str, command: Stop, context: RequestContext) -> None:
        """Stop the pump.

        It stands at once.
        """
        raise UnimplementedError

    @override
    async def prime(self, key: str, command: Prime, context: RequestContext) -> None:
        """Fill the pump."""
        raise UnimplementedError

    @override
    async def get_pump(self, key: str, context: RequestContext) -> Entity[Pump]:
        """Show the pump."""
        raise UnimplementedError

    @override
    async def sample(self, key: str, context: RequestContext) -> SampleResult:
        """Take a sample; each one is another."""
        raise UnimplementedError

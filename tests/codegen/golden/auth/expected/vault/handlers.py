# A stub: `weenats generate` replaces it until you change it. Checksum: e2c3e5f6ca4a2c02
"""The handlers of vault: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Box, Close, Move, Open, Shake, WeighResult
from .service import VaultHandlers


class Vault(VaultHandlers):
    """Keeps what only some may see."""

    @override
    async def open_(self, key: str, command: Open, context: RequestContext) -> None:
        """Open the box."""
        raise UnimplementedError

    @override
    async def close_(self, key: str, command: Close, context: RequestContext) -> None:
        """Close the box."""
        raise UnimplementedError

    @override
    async def move(self, key: str, command: Move, context: RequestContext) -> None:
        """Move the box.

        It is heavy.
        """
        raise UnimplementedError

    @override
    async def shake(self, key: str, command: Shake, context: RequestContext) -> None:
        """Shake the box."""
        raise UnimplementedError

    @override
    async def get_box(self, key: str, context: RequestContext) -> Entity[Box]:
        """Show the box."""
        raise UnimplementedError

    @override
    async def weigh(self, key: str, context: RequestContext) -> WeighResult:
        """Weigh the box."""
        raise UnimplementedError

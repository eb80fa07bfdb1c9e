# A stub: `weenats generate` replaces it until you change it. Checksum: 6752641b1755051f
"""The handlers of hostile: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Do, HostileThing
from .service import HostileHandlers


class Hostile(HostileHandlers):
    r"""Import os.

    os.abort()
    ''' \
    """

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def do(self, key: str, command: Do, context: RequestContext) -> None:
        """Todo: fixme #."""
        raise UnimplementedError

    @override
    async def get_hostile_thing(self, key: str, context: RequestContext) -> Entity[HostileThing]:
        """'Curly' - quotes ... and кириллица."""
        raise UnimplementedError

# A stub: `weenats generate` replaces it until you change it. Checksum: e9642ae6fe13defa
"""The handlers of hostile: one for each operation."""

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
    async def do(self, key: str, command: Do, context: RequestContext) -> None:
        """Todo: fixme #."""
        raise UnimplementedError

    @override
    async def get_hostile_thing(self, key: str, context: RequestContext) -> Entity[HostileThing]:
        """'Curly' - quotes ... and кириллица."""
        raise UnimplementedError

# A stub: `weenats generate` replaces it until you change it. Checksum: 49e1ecd8cdd820eb
"""The handlers of class: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import AnyModel, Execute, Import, ModelModel, Print
from .service import ClassHandlers


class Class(ClassHandlers):
    """Names that Python, pydantic or weenats have taken."""

    @override
    async def import_(self, key: str, command: Import, context: RequestContext) -> None:
        """A keyword."""
        raise UnimplementedError

    @override
    async def print_(self, key: str, command: Print, context: RequestContext) -> None:
        """A builtin."""
        raise UnimplementedError

    @override
    async def execute_(self, key: str, command: Execute, context: RequestContext) -> None:
        """A method of the client."""
        raise UnimplementedError

    @override
    async def model(self, key: str, command: ModelModel, context: RequestContext) -> None:
        """A class of the runtime."""
        raise UnimplementedError

    @override
    async def get_any(self, key: str, context: RequestContext) -> Entity[AnyModel]:
        """Show it."""
        raise UnimplementedError

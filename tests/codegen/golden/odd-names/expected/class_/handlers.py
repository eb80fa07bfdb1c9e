# A stub: `weenats generate` replaces it until you change it. Checksum: 54af136d0cbff8cc
"""The handlers of class: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import AnyModel, Execute, Import, ModelModel, Print
from .service import ClassHandlers


class Class(ClassHandlers):
    """Names that Python, pydantic or weenats have taken."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

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

# A stub: `weenats generate` replaces it until you change it. Checksum: 7948859fab3e47a1
"""The handlers of profiles: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Profile
from .service import ProfilesHandlers


class Profiles(ProfilesHandlers):
    """What may be left out, and what may be null, are two things."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def get_profile(self, key: str, context: RequestContext) -> Entity[Profile]:
        """Show the profile."""
        raise UnimplementedError

# A stub: `weenats generate` replaces it until you change it. Checksum: 6f2965d180f06729
"""The handlers of profiles: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Profile
from .service import ProfilesHandlers


class Profiles(ProfilesHandlers):
    """What may be left out, and what may be null, are two things."""

    @override
    async def get_profile(self, key: str, context: RequestContext) -> Entity[Profile]:
        """Show the profile."""
        raise UnimplementedError

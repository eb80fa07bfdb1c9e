# A stub: `weenats generate` replaces it until you change it. Checksum: 186a905ccc1ea28c
"""The handlers of my-billing: what each operation does."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import MyBilling
from .service import MyBillingHandlers


class MyBillingService(MyBillingHandlers):
    """A package with a name of its own."""

    @override
    async def get(self, key: str, context: RequestContext) -> Entity[MyBilling]:
        """Show it."""
        raise UnimplementedError

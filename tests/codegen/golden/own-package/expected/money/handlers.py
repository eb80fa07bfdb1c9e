# A stub: `weenats generate` replaces it until you change it. Checksum: abf94ea94e362267
"""The handlers of my-billing: one for each operation."""

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import MyBilling
from .service import MyBillingHandlers


class MyBillingService(MyBillingHandlers):
    """A package with a name of its own."""

    @override
    async def get_my_billing(self, key: str, context: RequestContext) -> Entity[MyBilling]:
        """Show it."""
        raise UnimplementedError

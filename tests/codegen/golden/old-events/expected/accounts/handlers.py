# A stub: `weenats generate` replaces it until you change it. Checksum: 2325dcb803523872
"""The handlers of accounts: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.aggregates import Decision
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Account, Deposit, Deposited
from .service import AccountsHandlers


class Accounts(AccountsHandlers):
    """Keeps the money of customers, since three versions."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    def deposited(self, state: Account | None, event: Deposited) -> Account:
        """Money was put into the account."""
        raise UnimplementedError

    @override
    async def deposit(
        self, state: Entity[Account] | None, command: Deposit, context: RequestContext
    ) -> Decision[None]:
        """Put money into the account."""
        raise UnimplementedError

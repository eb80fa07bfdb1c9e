# A stub: `weenats generate` replaces it until you change it. Checksum: f6fcadc4f05fc8e5
"""The handlers of wallets: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.aggregates import Decision
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import Amount, CanPayResult, Change, Closed, Empty, Wallet
from .service import WalletsHandlers


class Wallets(WalletsHandlers):
    """Keeps the money of customers."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    def deposited(self, state: Wallet | None, event: Change) -> Wallet:
        """Money was put into the wallet."""
        raise UnimplementedError

    @override
    def withdrawn(self, state: Wallet | None, event: Change) -> Wallet:
        """Money was taken out of the wallet."""
        raise UnimplementedError

    @override
    def closed(self, state: Wallet | None, event: Closed) -> Wallet:
        """The wallet was closed."""
        raise UnimplementedError

    @override
    async def deposit(
        self, state: Entity[Wallet] | None, command: Amount, context: RequestContext
    ) -> Decision[Wallet]:
        """Put money into the wallet; the first deposit opens it."""
        raise UnimplementedError

    @override
    async def withdraw(
        self, state: Entity[Wallet] | None, command: Amount, context: RequestContext
    ) -> Decision[Wallet]:
        """Take money out of the wallet."""
        raise UnimplementedError

    @override
    async def empty(
        self, state: Entity[Wallet] | None, command: Empty, context: RequestContext
    ) -> Decision[None]:
        """Empty the wallet, and close it."""
        raise UnimplementedError

    @override
    async def can_pay(
        self, state: Entity[Wallet] | None, query: Amount, context: RequestContext
    ) -> CanPayResult:
        """Whether the wallet has enough money for a price."""
        raise UnimplementedError

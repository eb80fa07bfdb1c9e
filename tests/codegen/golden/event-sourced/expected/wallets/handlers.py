# A stub: `weenats generate` replaces it until you change it. Checksum: e1a04f26db0709ac
"""The handlers of wallets: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.aggregates import Decision as AggregateDecision
from weenats.context import RequestContext
from weenats.contract import Entity
from weenats.errors import UnimplementedError

from .models import (
    Amount,
    CanPayResult,
    Change,
    Closed,
    Decided,
    Decision,
    Empty,
    IsApprovedResult,
    Wallet,
)
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
    def decided(self, state: Decision | None, event: Decided) -> Decision:
        """It was decided."""
        raise UnimplementedError

    @override
    async def deposit(
        self, state: Entity[Wallet] | None, command: Amount, context: RequestContext
    ) -> AggregateDecision[Wallet]:
        """Put money into the wallet; the first deposit opens it."""
        raise UnimplementedError

    @override
    async def withdraw(
        self, state: Entity[Wallet] | None, command: Amount, context: RequestContext
    ) -> AggregateDecision[Wallet]:
        """Take money out of the wallet."""
        raise UnimplementedError

    @override
    async def empty(
        self, state: Entity[Wallet] | None, command: Empty, context: RequestContext
    ) -> AggregateDecision[None]:
        """Empty the wallet, and close it."""
        raise UnimplementedError

    @override
    async def decide(
        self, state: Entity[Decision] | None, command: Decision, context: RequestContext
    ) -> AggregateDecision[Decision]:
        """Approve or refuse the purchase, once."""
        raise UnimplementedError

    @override
    async def can_pay(
        self, state: Entity[Wallet] | None, query: Amount, context: RequestContext
    ) -> CanPayResult:
        """Whether the wallet has enough money for a price."""
        raise UnimplementedError

    @override
    async def is_approved(
        self, state: Entity[Decision] | None, context: RequestContext
    ) -> IsApprovedResult:
        """Whether the purchase is approved."""
        raise UnimplementedError

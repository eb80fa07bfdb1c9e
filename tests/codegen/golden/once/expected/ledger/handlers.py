# A stub: `weenats generate` replaces it until you change it. Checksum: b05920c24e5d86f0
"""The handlers of ledger: one for each operation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override
from weenats.context import RequestContext
from weenats.errors import UnimplementedError

from .models import Close, Deposit, DepositResult, ImportBatch
from .service import LedgerHandlers


class Ledger(LedgerHandlers):
    """Keeps accounts."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open here what the handlers need, such as a database pool, and close it after `yield`."""
        yield

    @override
    async def deposit(self, key: str, command: Deposit, context: RequestContext) -> DepositResult:
        """Put money on it."""
        raise UnimplementedError

    @override
    async def close_(self, key: str, command: Close, context: RequestContext) -> None:
        """Close it."""
        raise UnimplementedError

    @override
    async def import_batch(self, command: ImportBatch, context: RequestContext) -> None:
        """Import deposits."""
        raise UnimplementedError

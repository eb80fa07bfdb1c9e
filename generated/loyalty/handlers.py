"""The handlers of loyalty: one for each operation."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity

from receipts import ReceiptNotFoundError, ReceiptsClient

from .errors import OtherCustomerError, ReceiptNotClosedError
from .models import (
    Card,
    CardKey,
    Collect,
    PointsCollected,
    ReceiptsByStatusParameters,
    ReceiptsByStatusResult,
)
from .projections import BY_STATUS
from .service import LoyaltyHandlers

_TABLE = "CREATE TABLE IF NOT EXISTS points (receipt TEXT PRIMARY KEY, card TEXT, points INTEGER)"
_COLLECT = "INSERT OR IGNORE INTO points VALUES (?, ?, ?)"
_SHOW = "SELECT count(*), coalesce(sum(points), 0) FROM points WHERE card = ?"


class Loyalty(LoyaltyHandlers):
    """Keeps points in a SQLite database, and asks the service receipts what was paid.

    Attributes:
        by_status: the projection, while the service runs.
    """

    def __init__(self, database: str = ":memory:") -> None:
        self._path = database
        self._receipts = ReceiptsClient.sharing(self)  # the connection of this service

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open the database and run the projection while requests are served."""
        # SQLite answers in microseconds; other databases need an async driver, and a pool.
        with closing(sqlite3.connect(self._path, isolation_level=None)) as self._database:
            self._database.execute(_TABLE)
            async with BY_STATUS.run(self.transport, self.telemetry) as self.by_status:
                yield

    @override
    async def collect(self, key: CardKey, command: Collect, context: RequestContext) -> None:
        """Put the points of the customer's closed receipt on the card; each receipt counts once."""
        try:  # the call ends when the time of this request has elapsed
            receipt = (await self._receipts.get_receipt(command.receipt)).state
        except ReceiptNotFoundError as error:
            raise ReceiptNotClosedError from error
        if receipt.status != "closed":
            raise ReceiptNotClosedError
        if receipt.customer is None or receipt.customer.id != key:
            raise OtherCustomerError
        points = int(receipt.total)
        if self._database.execute(_COLLECT, (receipt.id, str(key), points)).rowcount:
            # The class of receipts is that of loyalty: both have it from the library shop.
            event = PointsCollected(customer=receipt.customer, points=points)
            await self.publish_points_collected(key, event)

    @override
    async def get_card(self, key: CardKey, context: RequestContext) -> Entity[Card]:
        """Show the card; one without receipts has no points."""
        count, points = self._database.execute(_SHOW, (str(key),)).fetchone()
        return Entity[Card](id=context.aggregate_id, state=Card(points=points), revision=count)

    @override
    async def receipts_by_status(
        self, query: ReceiptsByStatusParameters, context: RequestContext
    ) -> ReceiptsByStatusResult:
        """List the receipts of a status; a projection of the events of the service receipts."""
        view = await self.by_status.view()
        return [key async for (_, key), _ in view.items(query.status)]

"""The service `parcels`, whose events are durable: its package, and a consumer that records."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from testkit.paths import REPOSITORY
from weenats import NatsTransport
from weenats.testing import clean_streams

GOLDEN: Final = REPOSITORY / "tests" / "codegen" / "golden" / "durable"
CONTRACT_FOLDER: Final = GOLDEN / "contract"
sys.path.append(str(GOLDEN / "expected"))

from parcels import (  # noqa: E402 - after its folder is known
    CONTRACT,
    COURIERS_STREAM,
    DELIVERED,
    HIRED,
    MOVED,
    PARCELS_EVENTS_STREAM,
    SHIPPED,
    Delivered,
    DepotClosed,
    Hired,
    Moved,
    ParcelsClient,
    ParcelsConsumer,
    ParcelsSyncClient,
    Shipped,
)
from parcels.handlers import Parcels  # noqa: E402

__all__ = [
    "CONTRACT",
    "CONTRACT_FOLDER",
    "COURIERS_STREAM",
    "DELIVERED",
    "HIRED",
    "MOVED",
    "PARCELS_EVENTS_STREAM",
    "SHIPPED",
    "Delivered",
    "DepotClosed",
    "Hired",
    "Moved",
    "Parcels",
    "ParcelsClient",
    "ParcelsConsumer",
    "ParcelsSyncClient",
    "Recorder",
    "Shipped",
    "parcel_streams",
    "remove_streams",
]
Act = Callable[[Any], Awaitable[None]]


class Recorder(ParcelsConsumer):
    """Records the events that were processed, in their order.

    Attributes:
        seen: Key and count, depot or name of each event that was processed.
        attempts: The number of each delivery, whatever its outcome.
        act: Is called with each event before it is recorded.
    """

    def __init__(self, act: Act | None = None) -> None:
        self.seen: list[tuple[Any, Any]] = []
        self.attempts: list[int] = []
        self.act = act

    async def shipped(self, event: Any) -> None:
        """Record a parcel that was shipped."""
        await self._record(event, event.data.depot)

    async def delivered(self, event: Any) -> None:
        """Record a parcel that was delivered."""
        await self._record(event, event.data.count)

    async def hired(self, event: Any) -> None:
        """Record a courier."""
        await self._record(event, event.data.name)

    async def resigned(self, event: Any) -> None:
        """Record a courier who left."""
        await self._record(event, event.data.reason)

    async def depot_closed(self, event: Any) -> None:
        """Record a depot."""
        await self._record(event, event.data.depot)

    async def other(self, name: str, event: Any) -> None:
        """Record an event that the contract does not know."""
        await self._record(event, (name, event.data))

    async def _record(self, event: Any, value: Any) -> None:
        self.attempts.append(event.attempt)
        if self.act is not None:
            await self.act(event)
        self.seen.append((event.key, value))


@asynccontextmanager
async def parcel_streams(url: str) -> AsyncGenerator[NatsTransport]:
    """Create the streams of parcels on a server, connect to it, and remove them afterwards."""
    transport = NatsTransport(url)
    try:
        await clean_streams.renew_streams(transport, CONTRACT)
        yield transport
    finally:
        await transport.close()
        await remove_streams(url)


async def remove_streams(url: str) -> None:
    """Remove the streams of parcels, those that are there."""
    transport = NatsTransport(url)
    await clean_streams.remove_streams(transport, CONTRACT)
    await transport.close()

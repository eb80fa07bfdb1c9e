"""Projections of parcels: sums that show an event which is missing or handled twice."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from testkit.parcels import PARCELS_EVENTS_STREAM, Delivered, ParcelsConsumer, Shipped
from weenats import NatsTransport
from weenats.events import ReceivedEvent
from weenats.projections import KeyValueView, Projection, View
from weenats.projections.generation import projection_bucket
from weenats.projections.view import Checkpoint
from weenats.transport.jetstream import JetStream, StreamMissingError
from weenats.transport.jetstream.key_value import bucket_stream

NAME: Final = "parcel-counts"
TOTAL: Final = ("all", "parcels")


class Sums(Protocol):
    """Where sums are kept."""

    async def get(self, key: Any, /) -> int | None:
        """Return a sum."""

    async def put(self, key: Any, value: int, /) -> None:
        """Set a sum."""


class Counting(ParcelsConsumer):
    """Adds up what was delivered, of each key and in total."""

    def __init__(self, view: Sums) -> None:
        self.view = view

    async def delivered(self, event: ReceivedEvent[Delivered]) -> None:
        """Add to the sum of the key, and to the total."""
        for key in (event.key, TOTAL):
            await self.view.put(key, (await self.view.get(key) or 0) + event.data.count)

    async def shipped(self, event: ReceivedEvent[Shipped]) -> None:
        """Do nothing."""

    async def hired(self, event: Any) -> None:
        """Do nothing: another stream."""

    async def resigned(self, event: Any) -> None:
        """Do nothing: another stream."""

    async def depot_closed(self, event: Any) -> None:
        """Do nothing."""


class Failing(Counting):
    """Fails at an event until it is repaired.

    Attributes:
        broken: the count at which it fails; None for nowhere.
    """

    broken: int | None = None

    async def delivered(self, event: ReceivedEvent[Delivered]) -> None:
        """Fail, or count."""
        if event.data.count == self.broken:
            raise KeyError(event.key)
        await super().delivered(event)


COUNTS: Final = Projection(NAME, KeyValueView.of(int), Counting, stream=PARCELS_EVENTS_STREAM)


def named(name: str) -> Projection[KeyValueView[int]]:
    """Return the projection under another name."""
    return replace(COUNTS, name=name)


class SqlView(View):
    """Sums in a database: a table for each generation."""

    def __init__(self, path: Path, number: int) -> None:
        self.path = path
        self.number = number
        self.table = f"sums_{number}"

    async def open(self) -> None:
        """Open the database."""
        self.database = sqlite3.connect(self.path, isolation_level=None)
        self.database.execute(
            f"CREATE TABLE IF NOT EXISTS {self.table} (key TEXT PRIMARY KEY, value INTEGER)"
        )

    async def close(self) -> None:
        """Close it."""
        self.database.close()

    async def get(self, key: object) -> int | None:
        """Return a sum."""
        row = self.database.execute(
            f"SELECT value FROM {self.table} WHERE key = ?",  # noqa: S608 - its own name
            (str(key),),
        ).fetchone()
        return None if row is None else row[0]

    async def put(self, key: object, value: int) -> None:
        """Set a sum."""
        self.database.execute(
            f"REPLACE INTO {self.table} VALUES (?, ?)",  # noqa: S608 - its own name
            (str(key), value),
        )

    async def position(self) -> int:
        """Return the position."""
        return await self.get("position") or 0

    @asynccontextmanager
    async def transaction(self, checkpoint: Checkpoint) -> AsyncGenerator[None]:
        """Store changes with the position."""
        self.database.execute("BEGIN")
        try:
            yield
            if await self.position() != checkpoint.expected:
                raise RuntimeError("another instance changes the view")  # noqa: TRY301
            await self.put("position", checkpoint.position)
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    async def drop(self) -> None:
        """Remove the table."""
        self.database.execute(f"DROP TABLE IF EXISTS {self.table}")


async def remove_projection(url: str, name: str = NAME) -> None:
    """Remove the bucket of a projection, if it is there."""
    transport = NatsTransport(url)
    with suppress(StreamMissingError):
        await JetStream(transport).delete_stream(bucket_stream(projection_bucket(name)))
    await transport.close()

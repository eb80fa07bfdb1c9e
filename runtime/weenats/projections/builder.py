"""Building a generation of a projection beside the one that is read, and removing old ones."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final, Generic, NamedTuple

from typing_extensions import TypeVar

from weenats.events.reader import stream_of
from weenats.projections.bucket import ensure_bucket
from weenats.projections.follower import Follower
from weenats.projections.generation_catalog import Catalog, Record, outdated
from weenats.projections.lease import Lease, lease_key
from weenats.projections.view import View
from weenats.protocol.identifiers import STAMPER
from weenats.streams.store import info_of
from weenats.telemetry.manager import SILENT, TelemetryManager
from weenats.transport.jetstream import JetStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from weenats.projections.projection import Projection
    from weenats.transport.base import Transport

__all__ = ["CHECK", "GRACE", "Progress", "ProjectionBuilder", "opened"]
ViewT = TypeVar("ViewT", bound=View)
GRACE: Final = 5.0
"""Seconds for which a generation that was replaced may still be read."""
IDLE: Final = 40.0
"""Seconds without a lease after which no instance keeps a generation of another version: more than
those that an instance waits after a failure, when nobody has the lease."""
CHECK: Final = 1.0
"""Seconds between two looks at the generations of a projection."""


class Progress(NamedTuple):
    """How far a generation is that is being built.

    Attributes:
        generation: its number.
        position: the sequence of the last event that it has; None while another instance builds it.
        pending: how many events are left.
    """

    generation: int
    position: int | None
    pending: int


class ProjectionBuilder(Generic[ViewT]):
    """Builds generations of a projection, one instance at a time.

    What was built before an instance died is not lost: the next one goes on from there.

    Args:
        projection: the projection.
        transport: the connection.
        telemetry: records CONSUMER spans and metrics.
    """

    def __init__(
        self,
        projection: Projection[ViewT],
        transport: Transport,
        telemetry: TelemetryManager = SILENT,
    ) -> None:
        self._projection = projection
        self._transport = transport
        self._jetstream = JetStream(transport)
        self._telemetry = telemetry
        self._owner = STAMPER.new_id().encode()
        self._outdated: dict[int, tuple[float, int]] = {}
        """When this instance saw that a generation was replaced, or that one of another version had
        a lease, on the monotonic clock, and the revision of the lease then."""
        routes = projection.routes_of(projection.view_of(transport, 1))
        self.stream: Final = stream_of(each.event for each in routes)
        self.catalog: Final = Catalog(transport, projection.name, self.stream.name)

    async def create(self) -> None:
        """Create the bucket of the projection if there is none, and restore its settings.

        Raises:
            UnusableBucketError: it has settings with which it cannot keep a view.
            ServiceError: see JetStream.create_stream.
        """
        await ensure_bucket(self._jetstream, self._projection.name, self.stream)

    def lease(self, number: int) -> Lease:
        """Return the lease of a generation for this instance, which has one at a time.

        Args:
            number: the number of the generation.
        """
        return Lease(self.catalog.bucket, number, self._projection.name, self._owner)

    async def build(
        self, observe: Callable[[Progress], None] = lambda _: None, grace: float = 0.0
    ) -> int:
        """Build a generation from the first stored event on, and make it the one that is read.

        A generation that another instance builds is awaited.

        Args:
            observe: is called with the progress.
            grace: for how many seconds it is kept up to date afterwards, until other instances do.

        Returns:
            The number of the generation.

        Raises:
            AbortedError: another instance has taken over, because this one was without connection.
            StreamMissingError: the stream of the events does not exist.
            StreamReplacedError: it was deleted and made anew meanwhile.
            Exception: what a handler or the view raises.
        """
        info = await info_of(self._transport, self.stream)
        before = await self.catalog.records()
        record = await self.catalog.begin(self._projection.version, info.created)
        lease = self.lease(record.number)
        while not await lease.take():
            observe(Progress(record.number, None, 0))
            await asyncio.sleep(CHECK)
            if record not in await self.catalog.records():
                return record.number  # the other one has completed it
        await lease.run(self._build(record, observe, grace, is_new=record not in before))
        return record.number

    async def remove_outdated(self, grace: float) -> list[int]:
        """Remove generations that were replaced and that no instance keeps up to date.

        Args:
            grace: for how many seconds they may still be read since this instance saw that they
                were replaced; those of another version at least `IDLE` since somebody used them.

        Returns:
            Their numbers.

        Raises:
            ServiceError: see KeyValue.update.
            Exception: what a view raises.
        """
        removed: list[int] = []
        for record, since in await self._look():
            is_own = record.version == self._projection.version
            if monotonic() - since < (grace if is_own else max(grace, IDLE)):
                continue
            if await self.catalog.bucket.get(lease_key(record.number), leader=True) is None:
                async with opened(self._projection, self._transport, record.number) as view:
                    await view.drop()
                await self.catalog.remove(record.number)
                removed.append(record.number)
        return removed

    async def _look(self) -> list[tuple[Record, float]]:
        """Return the generations that were replaced, and since when nobody needs them."""
        found: list[tuple[Record, float]] = []
        known, self._outdated = self._outdated, {}
        for each in outdated(await self.catalog.records()):
            _, revision = await self.catalog.bucket.state(lease_key(each.number), leader=True)
            since, before = known.get(each.number, (monotonic(), revision))
            if revision > before and each.version != self._projection.version:
                since = monotonic()  # a lease that was given back has left a marker
            self._outdated[each.number] = since, max(revision, before)
            found.append((each, since))
        return found

    async def _build(
        self, record: Record, observe: Callable[[Progress], None], grace: float, *, is_new: bool
    ) -> None:
        if record not in await self.catalog.records():
            return  # it was completed before the lease was taken
        if is_new:
            # A database may have a view of this number, from before somebody deleted the bucket.
            async with opened(self._projection, self._transport, record.number) as view:
                if await view.position():
                    await view.drop()

        def report(position: int, pending: int) -> None:
            observe(Progress(record.number, position, pending))

        async with opened(self._projection, self._transport, record.number) as view:
            follower = Follower(self._projection, self._transport, view, self._telemetry)
            await follower.run(follow=False, created=record.created, observe=report)
            await self.catalog.complete(record.number)
            await self._look()
            following = asyncio.timeout(grace)
            try:
                async with following:
                    await follower.run(follow=True, created=record.created)
            except TimeoutError:
                if not following.expired():  # a handler raised it
                    raise


@asynccontextmanager
async def opened(
    projection: Projection[ViewT], transport: Transport, number: int
) -> AsyncGenerator[ViewT]:
    """Return a block in which the view of a generation is open.

    Args:
        projection: the projection.
        transport: the connection.
        number: the number of the generation.
    """
    view = projection.view_of(transport, number)
    await view.open()
    try:
        yield view
    finally:
        await view.close()

"""A projection in a running instance: it keeps the view up to date, and reads it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import Context
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic

from typing_extensions import TypeVar

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import cancel_and_wait, ends_task, retrieve, start_task
from weenats._internal.uncopyable import Uncopyable
from weenats.errors import (
    ConnectionClosedError,
    ServiceError,
    UnavailableError,
    WrongEventLoopError,
)
from weenats.events.reader import replaced
from weenats.projections.builder import CHECK, GRACE, ProjectionBuilder, opened
from weenats.projections.follower import Follower
from weenats.projections.generation_catalog import Record, current
from weenats.projections.health import ProjectionHealth
from weenats.projections.status import GenerationStatus, generation_status
from weenats.projections.view import View
from weenats.transport.event_loop import check_event_loop, finish_on
from weenats.transport.jetstream import StreamMissingError, StreamReplacedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from weenats.projections.projection import Projection
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport.base import Transport

__all__ = ["RunningProjection", "running"]
ViewT = TypeVar("ViewT", bound=View)
_LOG: Final = LimitedLogger("weenats.projections")
_PAUSES: Final = (1.0, 5.0, 15.0, 30.0)
"""Seconds until another attempt, after each failure in turn."""
_INSPECTION: Final = 15.0
"""Seconds between two looks at the settings of the bucket."""
_POLL: Final = 0.02


class RunningProjection(Uncopyable, Generic[ViewT]):
    """A projection that an instance keeps up to date and reads; made by `Projection.run`.

    Args:
        projection: the projection.
        transport: the connection.
        telemetry: records CONSUMER spans and metrics.

    Attributes:
        health: its last failure.
    """

    def __init__(
        self, projection: Projection[ViewT], transport: Transport, telemetry: TelemetryManager
    ) -> None:
        self._projection = projection
        self._transport = transport
        self._telemetry = telemetry
        self._builder = ProjectionBuilder(projection, transport, telemetry)
        self._views: list[tuple[Record, ViewT]] = []
        self._checked = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._has_ended = False
        self._loop = asyncio.get_running_loop()
        self.health = ProjectionHealth(projection.name)

    async def view(self) -> ViewT:
        """Return the view to answer a query from; do not keep it for another query.

        Raises:
            UnavailableError: no view of this version of the projection is complete yet, or the
                block has ended in which the projection runs.
            WrongEventLoopError: the projection runs on another event loop.
            ServiceError: see JetStream.last.
        """
        self._check_running()
        if monotonic() - self._checked >= CHECK:
            await self._look_together()
            self._check_running()
        return self._views[-1][1]

    def _check_running(self) -> None:
        check_event_loop(self._loop)
        if self._has_ended:
            raise UnavailableError(f"projection {self._projection.name} runs no more")

    async def status(self) -> GenerationStatus:
        """Return how far the view is that is read.

        Raises:
            UnavailableError: no view of this version of the projection is complete yet.
            WrongEventLoopError: the projection runs on another event loop.
            ServiceError: see JetStream.last.
        """
        check_event_loop(self._loop)
        record, records = await self._current()
        return await generation_status(self._projection, self._transport, record, records)

    async def caught_up(self) -> None:
        """Wait until the view has all events that are stored now; for tests.

        Raises:
            StreamReplacedError: the stream is another one than the one whose events the view has.
            UnavailableError: the block has ended in which the projection runs.
            WrongEventLoopError: the projection runs on another event loop.
            ServiceError: see JetStream.last.
        """
        while True:
            self._check_running()
            try:
                record, records = await self._current()
                status = await generation_status(self._projection, self._transport, record, records)
                if status.is_stale:
                    raise replaced(self._builder.stream)
                if not status.lag:
                    return
            except (ConnectionClosedError, WrongEventLoopError):
                raise
            except UnavailableError:  # no view is complete yet
                pass
            await asyncio.sleep(_POLL)

    async def close(self) -> None:
        """Close the views.

        Raises:
            WrongEventLoopError: the projection runs on another event loop.
        """
        check_event_loop(self._loop)
        self._has_ended = True
        await cancel_and_wait(self._looking)
        while self._views:
            await self._views.pop()[1].close()

    async def follow(self) -> None:
        """Keep the view up to date until the connection is closed."""
        failures, task = 0, asyncio.current_task()
        while True:
            started = monotonic()
            try:
                await self._follow()
            except ConnectionClosedError:
                return
            except BaseException as error:  # of a handler or of the view
                if ends_task(error, task):
                    raise
                failures = _failures_in_a_row(failures, monotonic() - started)
                name = self._projection.name
                if self.health.failed(error):
                    _LOG.warning("projection %s gets no events, retrying: %s", name, error)
                else:
                    _LOG.error("projection %s failed, retrying", name, exc_info=error)
                if isinstance(error, StreamReplacedError):
                    failures = 1  # `weenats rebuild` may end at any time
                await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES)) - 1])

    async def _follow(self) -> None:
        await self._builder.create()
        while True:
            records = await self._builder.catalog.records()
            record = current(records, self._projection.version)
            if record is None:
                await self._builder.build()
                self.health.succeeded()
                continue
            lease = self._builder.lease(record.number)
            if await lease.take():
                await lease.run(self._change(record))
            else:
                self.health.succeeded()  # in another instance
                await asyncio.sleep(CHECK)

    async def _change(self, record: Record) -> None:
        """Keep the view of a generation up to date until another one replaces it."""
        async with opened(self._projection, self._transport, record.number) as view:
            inspected = monotonic()
            follower = Follower(self._projection, self._transport, view, self._telemetry)
            following = start_task(follower.run(follow=True, created=record.created))
            following.add_done_callback(retrieve)  # `result` raises it, unless the process ends
            try:
                while current(await self._records(), record.version) == record:
                    await asyncio.wait({following}, timeout=CHECK)
                    if following.done():
                        following.result()
                    if monotonic() - inspected >= _INSPECTION:
                        await self._builder.create()
                        inspected = monotonic()
                    self.health.succeeded()
            finally:
                await cancel_and_wait(following)

    async def _records(self) -> tuple[Record, ...]:
        try:
            await self._builder.remove_outdated(GRACE)
        except ServiceError as error:  # no connection, for example
            _LOG.warning("cannot remove old views of %s: %s", self._projection.name, error)
        except Exception as error:  # noqa: BLE001 - any exception of a view
            _LOG.error("cannot remove old views of %s", self._projection.name, exc_info=error)
        return await self._builder.catalog.records()

    async def _look_together(self) -> None:
        """Look, or wait for the look of another query: two would close a view that one returns."""
        if self._looking is None:
            self._looking = start_task(self._look(), context=Context())
            self._looking.add_done_callback(self._on_looked)
        looking = self._looking
        await asyncio.wait([looking])
        if looking.cancelled():
            self._check_running()  # then `close` has cancelled the look
        await looking  # it has ended: returns at once

    def _on_looked(self, looking: asyncio.Task[None]) -> None:
        self._looking = None
        retrieve(looking)

    async def _look(self) -> None:
        """Open the view that is to be read now; the one before stays open for a while."""
        record, _ = await self._current()
        if not self._views or self._views[-1][0] != record:
            view = self._projection.view_of(self._transport, record.number)
            await view.open()
            self._views.append((record, view))
            while len(self._views) > 2:  # noqa: PLR2004 - queries may read the one before
                await self._views.pop(0)[1].close()
        self._checked = monotonic()

    async def _current(self) -> tuple[Record, tuple[Record, ...]]:
        try:
            records = await self._builder.catalog.records(leader=False)
        except StreamMissingError:
            records = ()
        record = current(records, self._projection.version)
        if record is None:
            name, version = self._projection.name, self._projection.version
            raise UnavailableError(
                f"projection {name} has no complete view of version {version} yet"
            )
        return record, records


def _failures_in_a_row(before: int, seconds: float) -> int:
    """Return how many failures there were in a row, with the one that has just happened.

    Args:
        before: how many there were before it.
        seconds: how long it worked since then.
    """
    return 1 if seconds > _PAUSES[-1] else before + 1


@asynccontextmanager
async def running(
    projection: Projection[ViewT], transport: Transport, telemetry: TelemetryManager
) -> AsyncGenerator[RunningProjection[ViewT]]:
    """Return a block in which a projection runs; see `Projection.run`.

    Args:
        projection: the projection.
        transport: the connection.
        telemetry: records CONSUMER spans and metrics.

    Raises:
        ValueError: its events are not those of one stream.
        WrongEventLoopError: the connection belongs to another event loop, or the block is left on
            another one: the projection ends on its own.
    """
    loop, found = asyncio.get_running_loop(), RunningProjection(projection, transport, telemetry)
    if transport.is_connected:
        await transport.connect()  # at once; refuses another event loop
    # An empty context: the task belongs to no request and no trace.
    following = start_task(found.follow(), context=Context())
    try:
        with found.health.shown():
            yield found
    finally:
        await finish_on(loop, partial(_end, found, following))


async def _end(running: RunningProjection[Any], following: asyncio.Task[None]) -> None:
    await cancel_and_wait(following)
    await running.close()

"""Applying the events of a stream to a view, in order."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Generic

from typing_extensions import TypeVar

from weenats._internal.tasks import ends_task, with_own_variables
from weenats.events.reader import StoredEvent, read_stored
from weenats.events.received_event import EventRunner, ReceivedEvent
from weenats.projections.view import Checkpoint, View
from weenats.telemetry.manager import SILENT, TelemetryManager

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from weenats.projections.projection import Projection
    from weenats.transport.base import Transport

__all__ = ["Follower", "is_of_handler"]
ViewT = TypeVar("ViewT", bound=View)
_AT_ONCE: Final = 256
"""How many events are applied in one transaction at most."""
_OF_HANDLER: Final = "the handler of event "
_HANDLER_TIMEOUT: Final = 30.0
"""Seconds that the handler of an event has."""


class Follower(Generic[ViewT]):
    """Applies events to the view of a generation; there is one for each at a time.

    Args:
        projection: the projection.
        transport: the connection.
        view: the view, which is open.
        telemetry: records CONSUMER spans and metrics.
    """

    def __init__(
        self,
        projection: Projection[ViewT],
        transport: Transport,
        view: ViewT,
        telemetry: TelemetryManager = SILENT,
    ) -> None:
        self._transport = transport
        self._view = view
        routes = projection.routes_of(view)
        self._events = tuple(each.event for each in routes)
        self._runners = {
            each.event.path: EventRunner[Any, Any](
                each.event, each.handler, telemetry, projection.name
            )
            for each in routes
        }
        self._limit = _AT_ONCE

    async def run(
        self,
        *,
        follow: bool,
        created: datetime | None = None,
        observe: Callable[[int, int], None] = lambda _, __: None,
    ) -> None:
        """Apply the events that the view does not have yet, several of them in a transaction.

        When one of them fails, the view gets those before it.

        Args:
            follow: whether to wait for new events; else it ends with the last one that is there.
            created: when the stream was created whose events the view has; None if unknown.
            observe: is called with the new position and the number of events that follow it.

        Raises:
            StreamMissingError: the stream does not exist.
            StreamReplacedError: it is another one than the one whose events the view has.
            InvalidArgumentError: an event does not match the contract.
            Exception: what a handler or the view raises; a note says at which event.
        """
        position = await self._view.position()
        batch: list[StoredEvent] = []
        reading = read_stored(
            self._transport, *self._events, start=position + 1, follow=follow, created=created
        )
        async with aclosing(reading):
            async for each in reading:
                if each is not None:
                    batch.append(each)
                    if each.pending and len(batch) < self._limit:
                        continue
                position = await self._apply_all(batch, position, observe)
        await self._apply_all(batch, position, observe)

    async def _apply_all(
        self, batch: list[StoredEvent], position: int, observe: Callable[[int, int], None]
    ) -> int:
        """Apply events in as few transactions as possible, and return the new position."""
        task = asyncio.current_task()
        pending = batch[-1].pending if batch else 0
        while batch:
            try:
                applied = await self._apply(batch[: self._limit], position)
            except BaseException as error:
                if ends_task(error, task) or self._limit == 1:
                    raise
                if await self._view.position() != position:
                    raise
                self._limit = 1  # all events up to the one that fails
                continue
            position = batch[applied - 1].sequence
            del batch[:applied]
            self._limit = min(self._limit * 2, _AT_ONCE)
            observe(position, pending + len(batch))
        return position

    async def _apply(self, batch: list[StoredEvent], position: int) -> int:
        """Apply events in one transaction, and return how many it took."""
        checkpoint, applied = Checkpoint(position, position), 0
        async with self._view.transaction(checkpoint):
            for each in batch:
                await self._handle(each)
                checkpoint.position = each.sequence
                applied += 1
                if self._view.is_full:
                    break
        return applied

    async def _handle(self, stored: StoredEvent) -> None:
        task, event = asyncio.current_task(), stored.decoded()
        try:
            async with asyncio.timeout(_HANDLER_TIMEOUT):
                await with_own_variables(self._run(stored.path, event))
        except Exception as error:
            error.add_note(_where(stored))
            raise
        except BaseException as error:
            if ends_task(error, task):
                raise
            raise RuntimeError(f"{_where(stored)} raised {type(error).__name__}") from error

    async def _run(self, path: str, event: ReceivedEvent[Any, Any]) -> None:
        """Run a handler; what it sets as context variables, also the event itself, is its own."""
        await self._runners[path].handle(event)


def is_of_handler(error: BaseException) -> bool:
    """Return whether the handler of an event raised an error: a note says at which event.

    Args:
        error: what `Follower.run` raised.
    """
    return any(each.startswith(_OF_HANDLER) for each in getattr(error, "__notes__", ()))


def _where(stored: StoredEvent) -> str:
    return f"{_OF_HANDLER}{stored.sequence}, {stored.path}"

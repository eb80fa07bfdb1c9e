"""Durable consumers as a loop: `async for` instead of a class with methods."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self

from typing_extensions import TypeVar, Unpack, override

from weenats._internal.tasks import start_task
from weenats.errors import ConnectionClosedError, connection_error
from weenats.events.consumer_base import EventConsumer, EventRoute
from weenats.events.received_event import EventReturnedError
from weenats.events.running_consumer import consume
from weenats.telemetry.manager import SILENT, TelemetryManager
from weenats.transport.event_loop import check_event_loop, finish_on

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from weenats.contract import Event
    from weenats.events.consume_options import ConsumeOptions
    from weenats.events.received_event import ReceivedEvent
    from weenats.transport.base import Transport

__all__ = ["consuming"]
DataT = TypeVar("DataT")


@asynccontextmanager
async def consuming(
    transport: Transport,
    name: str,
    *events: Event[DataT],
    telemetry: TelemetryManager = SILENT,
    **options: Unpack[ConsumeOptions],
) -> AsyncGenerator[AsyncIterator[ReceivedEvent[DataT, Any]]]:
    """Process durable events in a loop, one at a time; see `consume`.

    An event counts as processed when the loop asks for the next one, or ends. When an exception
    leaves the block, it is delivered again.

    Args:
        transport: the connection.
        name: the name of the consumer, under which the server remembers how far it is.
        events: the durable events; others of their streams are skipped.
        telemetry: records CONSUMER spans and metrics.
        options: see ConsumeOptions; `max_concurrency` is 1.

    Yields:
        The events, for `async for`, which ends at the end of the block.

    Example:
        ```python
        async with consuming(transport, "billing", ITEM_ADDED, CHECKED_OUT) as events:
            async for event in events:
                await handle(event.data)
        ```

    Raises:
        ValueError: there is no event, one is not durable, or an option is out of range.
        ConnectionClosedError: raised by `async for` when the connection is closed for good.
        WrongEventLoopError: raised by `async for` on another event loop, and when the block is left
            on another one: the loop ends on its own.
        ServiceError: see `consume`.
    """
    if not events:
        raise ValueError("consuming takes at least one event")
    own, loop = asyncio.get_running_loop(), _Loop[DataT](events)
    options["max_concurrency"] = 1
    running = await consume(transport, loop, name, telemetry, **options)
    watching = start_task(loop.watch(transport), context=Context())
    failure = ""
    try:
        yield loop
    except BaseException as error:
        failure = type(error).__name__
        raise
    finally:

        async def end() -> None:
            loop.settle(failure)
            watching.cancel()
            await running.stop()

        await finish_on(own, end)


class _Handed(NamedTuple, Generic[DataT]):
    """An event that waits for the loop, and what ends the waiting of its handler."""

    event: ReceivedEvent[DataT, Any]
    processed: asyncio.Future[None]


class _Loop(EventConsumer, Generic[DataT]):
    def __init__(self, events: tuple[Event[DataT], ...]) -> None:
        self.contract = events[0].contract  # type: ignore[misc]  # generated classes have it
        self._events = events
        self._event_loop = asyncio.get_running_loop()
        self._handed: asyncio.Queue[_Handed[DataT] | None] = asyncio.Queue()
        self._current: asyncio.Future[None] | None = None
        self._is_ended = False
        self._is_closed = False

    async def watch(self, transport: Transport) -> None:
        """Wake the loop when the connection is closed for good: no event comes any more."""
        await transport.wait_closed()
        self._is_closed = True
        self._handed.put_nowait(None)

    @override
    def routes(self) -> tuple[EventRoute, ...]:
        return tuple(EventRoute.of(each, self._hand) for each in self._events)

    async def _hand(self, event: ReceivedEvent[DataT, Any]) -> None:
        """Give an event to the loop, and wait until it was processed."""
        if self._is_ended:
            raise EventReturnedError
        processed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handed.put_nowait(_Handed(event, processed))
        await processed

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ReceivedEvent[DataT, Any]:
        check_event_loop(self._event_loop)
        self._settle_current()
        while not (self._is_ended or self._is_closed):
            handed = await self._handed.get()
            if handed is not None and not handed.processed.done():  # its attempt is not over
                self._current = handed.processed
                return handed.event
        self._handed.put_nowait(None)  # for others that wait
        if self._is_ended:
            raise StopAsyncIteration
        raise connection_error(ConnectionClosedError, "the connection was closed: no event comes")

    def settle(self, failure: str) -> None:
        """End the loop; the event that it has was processed, unless an exception ends the loop.

        Args:
            failure: the name of the exception; "" for none.
        """
        self._is_ended = True
        self._settle_current(failure)
        while not self._handed.empty():
            handed = self._handed.get_nowait()
            if handed is not None and not handed.processed.done():
                handed.processed.set_exception(EventReturnedError())
        self._handed.put_nowait(None)

    def _settle_current(self, failure: str = "") -> None:
        current, self._current = self._current, None
        if current is None or current.done():
            return
        if failure:
            current.set_exception(RuntimeError(f"the loop ended: {failure}"))
        else:
            current.set_result(None)

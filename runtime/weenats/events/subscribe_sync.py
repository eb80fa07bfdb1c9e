"""Subscriptions of synchronous clients: handlers run in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, Protocol, Self

from typing_extensions import TypeVar, Unpack

from weenats._internal.tasks import finish
from weenats._internal.threads import DaemonThreads
from weenats._internal.uncopyable import Uncopyable
from weenats._internal.validation import check_plain
from weenats.events.received_event import EventHandler, ReceivedEvent
from weenats.events.subscribe import (
    DEFAULT_CONCURRENCY,
    MAX_QUEUE,
    EventSubscription,
    SubscribeOptions,
)

__all__ = ["SyncEventHandler", "SyncEventSubscription", "subscribe_sync"]
DataT = TypeVar("DataT")
KeyT = TypeVar("KeyT", default=str)
ResultT = TypeVar("ResultT")

SyncEventHandler = Callable[[ReceivedEvent[DataT, KeyT]], None]
"""A function that handles an event, in a thread; its exceptions are logged."""


class _Wait(Protocol):
    """Runs a coroutine on the event loop of a synchronous client, and waits for its result."""

    def __call__(self, call: Coroutine[Any, Any, ResultT], /) -> ResultT: ...


class _Subscribe(Protocol[DataT, KeyT]):
    """The method of an async client that subscribes to an event."""

    def __call__(
        self, handler: EventHandler[DataT, KeyT], **options: Unpack[SubscribeOptions]
    ) -> Coroutine[Any, Any, EventSubscription]: ...


class SyncEventSubscription(Uncopyable):
    """A running subscription of a synchronous client; `with` ends it.

    Args:
        subscription: the subscription of the async client.
        threads: the threads of the handler.
        wait: runs a coroutine on the event loop of the client.
    """

    def __init__(
        self, subscription: EventSubscription, threads: DaemonThreads, wait: _Wait
    ) -> None:
        self._subscription = subscription
        self._threads = threads
        self._wait = wait

    def unsubscribe(self) -> None:
        """Stop receiving events, and wait up to 30 seconds until those that arrived are handled.

        It goes on when an exception ends the waiting, such as KeyboardInterrupt.
        """
        self._wait(self._unsubscribe())

    async def _unsubscribe(self) -> None:
        # Begun on the event loop: where `_wait` refuses to run it, no coroutine is left over.
        await finish(self._end())

    async def _end(self) -> None:
        try:
            await self._subscription.unsubscribe()
        finally:
            self._threads.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unsubscribe()


def subscribe_sync(
    wait: _Wait,
    subscribe: _Subscribe[DataT, KeyT],
    handler: SyncEventHandler[DataT, KeyT],
    **options: Unpack[SubscribeOptions],
) -> SyncEventSubscription:
    """Subscribe to an event with a synchronous handler.

    Args:
        wait: runs a coroutine on the event loop of the client.
        subscribe: the method of the async client.
        handler: a function that is called with each event, in a thread of the subscription; it may
            block, and may use synchronous clients.
        options: see SubscribeOptions.

    Returns:
        The subscription; the server has it when this function returns.

    Example:
        Generated clients have a method for each event, which calls this function:

        ```python
        def on_item_added(event: ReceivedEvent[ItemAdded]) -> None:
            print(event.key, event.data.item)

        with receipts.subscribe_item_added(on_item_added, queue_group="billing"):
            stopped.wait()
        ```

    Raises:
        ValueError: an option is out of range.
        ServiceError: there is no connection, or the server denies the subject.
        TypeError: an option is unknown, or the handler is async or not callable.
    """
    from weenats.admission.controller import check_concurrency  # noqa: PLC0415 - as `subscribe`

    check_plain(handler, "the event handler of a synchronous client")
    # Handlers that unsubscribe wait, in their threads, for those of the events that have arrived.
    max_concurrency = options.get("max_concurrency", DEFAULT_CONCURRENCY)
    check_concurrency(max_concurrency)
    threads = DaemonThreads(max_concurrency + MAX_QUEUE, "weenats events")

    async def handle(event: ReceivedEvent[DataT, KeyT]) -> None:
        context = copy_context()
        try:
            await asyncio.wrap_future(threads.submit(lambda: context.run(handler, event)))
        except (SystemExit, KeyboardInterrupt) as error:  # ends its thread at most, not the loop
            raise RuntimeError(f"the handler raised {type(error).__name__}") from error

    try:
        return SyncEventSubscription(wait(subscribe(handle, **options)), threads, wait)
    except BaseException:
        threads.close()
        raise

"""Subscriptions to typed events."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final, Generic, Self, TypedDict

from typing_extensions import TypeVar, Unpack

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task, finish
from weenats._internal.tracebacks import release_frames
from weenats._internal.uncopyable import Uncopyable
from weenats._internal.validation import check_async, check_options
from weenats.errors import InvalidArgumentError, ServiceError
from weenats.events.received_event import EventHandler, EventRunner
from weenats.protocol import subjects
from weenats.telemetry.manager import SILENT, TelemetryManager
from weenats.transport.base import check_transport

if TYPE_CHECKING:
    from weenats.admission.controller import Admission
    from weenats.admission.job import Job
    from weenats.admission.scope import Scope
    from weenats.contract import Event
    from weenats.transport.base import Subscription, Transport

__all__ = [
    "DEFAULT_CONCURRENCY",
    "MAX_QUEUE",
    "EventSubscription",
    "SubscribeOptions",
    "subscribe",
]
_LOG: Final = LimitedLogger("weenats.events")
DEFAULT_CONCURRENCY: Final = 10
MAX_QUEUE: Final = 10_000
_DRAIN_TIMEOUT: Final = 30.0
DataT = TypeVar("DataT")
KeyT = TypeVar("KeyT", default=str)


class SubscribeOptions(TypedDict, total=False):
    """Options of a subscription.

    Attributes:
        queue_group: share the events with the other subscribers of this queue group; by default
            every subscriber receives every event.
        max_concurrency: how many handlers run at once, 10 by default; 1 keeps the order of arrival.
    """

    queue_group: str
    max_concurrency: int


class EventSubscription(Uncopyable):
    """A running subscription; `async with` ends it.

    One that was made in the lifespan or in a handler of a service ends with the service.
    """

    def __init__(self, work: _EventWork) -> None:
        self._work = work

    async def unsubscribe(self) -> None:
        """Stop receiving events, and wait up to 30 seconds until those that arrived are handled.

        It goes on when its caller is cancelled.
        """
        await finish(self._work.end(_DRAIN_TIMEOUT))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.unsubscribe()


async def subscribe(
    transport: Transport,
    event: Event[DataT],
    handler: EventHandler[DataT, KeyT],
    telemetry: TelemetryManager = SILENT,
    **options: Unpack[SubscribeOptions],
) -> EventSubscription:
    """Subscribe to an event.

    Args:
        transport: the connection, which a subscription in a service does not outlive.
        event: the event.
        handler: an async function that is called with each event, in a task of its own.
        telemetry: records CONSUMER spans and metrics.
        options: see SubscribeOptions.

    Returns:
        The subscription; the server has it when this function returns.

    Example:
        Generated clients have a method for each event, which calls this function:

        ```python
        async def on_item_added(event: ReceivedEvent[ItemAdded]) -> None:
            print(event.key, event.data.item)

        async with await receipts.subscribe_item_added(on_item_added, queue_group="billing"):
            await stopped.wait()
        ```

    Raises:
        ValueError: an option is out of range.
        ServiceError: there is no connection, or the server denies the subject.
        TypeError: the transport is not one, an option is unknown, or the handler is not async.
    """
    # Most clients only call, so this is not imported with them.
    from weenats.admission.controller import Admission, check_concurrency  # noqa: PLC0415
    from weenats.admission.job import Job  # noqa: PLC0415
    from weenats.admission.scope import SCOPE  # noqa: PLC0415

    check_transport(transport)
    check_options(options, SubscribeOptions, "a subscription")
    check_async(handler, f"the handler of event {event.name}")
    queue_group = options.get("queue_group", "")
    if queue_group != "":  # what is not a text is refused too
        subjects.check_queue_group(queue_group)
    max_concurrency = options.get("max_concurrency", DEFAULT_CONCURRENCY)
    check_concurrency(max_concurrency)
    await transport.connect()
    scope = SCOPE.get()
    admission = Admission(
        max_concurrency=max_concurrency,
        max_queue=MAX_QUEUE,
        variables=None if scope is None else scope.variables,
    )
    worker = _EventWorker(event, EventRunner(event, handler, telemetry, queue_group))
    interest = transport.subscribe(
        event.subject, lambda delivery: admission.submit(Job(worker, delivery)), queue_group
    )
    try:
        await transport.fence()
    except BaseException:
        # Without waiting for the server again, which may hang.
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await transport.unsubscribe([interest])
        await admission.drain(_DRAIN_TIMEOUT)
        raise
    work = _EventWork(transport, interest, admission, scope)
    if scope is not None:
        scope.add(work)
    return EventSubscription(work)


@dataclass(slots=True, eq=False, repr=False)
class _EventWork:
    """What a subscription consists of."""

    transport: Transport
    interest: Subscription
    admission: Admission
    scope: Scope | None

    async def end(self, timeout: float) -> None:
        end = monotonic() + timeout
        try:
            with suppress(TimeoutError):  # a server that hangs
                async with asyncio.timeout(timeout):
                    await self.transport.unsubscribe([self.interest])
            await self.admission.drain(max(end - monotonic(), 0))
        finally:
            if self.scope is not None:
                self.scope.discard(self)

    def abort(self) -> None:
        self.admission.abort()


@dataclass(slots=True, eq=False, repr=False)
class _EventWorker(Generic[DataT, KeyT]):
    """Handles the events of a subscription."""

    event: Event[DataT]
    runner: EventRunner[DataT, KeyT]

    async def run(self, job: Job) -> None:
        delivery = job.delivery
        try:
            event = self.runner.decode(delivery.payload, delivery.headers)
        except InvalidArgumentError:  # it was logged and recorded
            job.answered = True
            return
        try:
            await self.runner.handle(event)
        except BaseException as error:  # any exception of the handler is logged
            if not ends_task(error, job.task):
                _LOG.exception("the handler of %s failed", self.event.subject)
                release_frames(error)
            elif isinstance(error, asyncio.CancelledError):
                _LOG.warning("the handler of %s was cancelled", self.event.subject)
            else:
                raise
        job.answered = True

    def refuse(self, job: Job, error: ServiceError) -> None:
        _LOG.error("an event on %s was dropped: %s", self.event.subject, error.label)
        if not job.started:
            self.runner.refuse(job.delivery.headers, error)

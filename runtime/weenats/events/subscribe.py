"""Subscriptions to typed events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Final, Generic, Self, TypedDict, TypeVar

from pydantic import MISSING, JsonValue
from typing_extensions import Unpack

from weenats._internal.validation import check_async, unknown_option
from weenats.admission.controller import Admission, check_concurrency
from weenats.admission.job import Job
from weenats.context import CURRENT, NO_CONTEXT, MessageContext
from weenats.errors import InvalidArgumentError, ServiceError
from weenats.events.codecs import codec_of
from weenats.model import Model
from weenats.protocol import subjects
from weenats.telemetry.manager import SILENT
from weenats.telemetry.messaging import EventTelemetry

if TYPE_CHECKING:
    from types import TracebackType

    from weenats.contract import Event
    from weenats.protocol.messages import Correlation, EventNotification
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport.base import Delivery, Subscription, Transport

__all__ = ["EventHandler", "EventSubscription", "ReceivedEvent", "SubscribeOptions", "subscribe"]
_LOG: Final = logging.getLogger("weenats.events")
_MAX_QUEUE: Final = 10_000
_DRAIN_TIMEOUT: Final = 30.0
DataT = TypeVar("DataT", bound=Model)


class SubscribeOptions(TypedDict, total=False):
    """How events are taken.

    Attributes:
        queue_group: share the events with the other subscribers of this group; default: each
            subscriber gets all.
        max_concurrency: how many handlers run at once, 10 if not set; 1 keeps the order of arrival.
    """

    queue_group: str
    max_concurrency: int


_SUBSCRIBE_OPTIONS: Final = frozenset(SubscribeOptions.__annotations__)


class ReceivedEvent(MessageContext, Generic[DataT]):
    """An event as it arrived.

    Attributes:
        key: the key of the aggregate.
        revision: the revision of the aggregate that the event led to.
        timestamp: ISO 8601 in UTC with ms and Z.
        data: what the contract says of the event.
    """

    __slots__ = ("data", "id", "key", "revision", "timestamp")

    def __init__(self, notification: EventNotification, data: DataT, delivery: Delivery) -> None:
        metadata = notification.metadata
        correlation: Correlation | MISSING = MISSING
        message_id = notification.id
        metadata_context: Mapping[str, JsonValue] = NO_CONTEXT
        if metadata is not MISSING:
            message_id = metadata.message_id
            correlation = metadata.correlation
            metadata_context = NO_CONTEXT if metadata.context is MISSING else metadata.context
        correlation_id, causation_id = message_id, None
        if correlation is not MISSING:
            correlation_id = correlation.correlation_id
            causation_id = None if correlation.causation_id is MISSING else correlation.causation_id
        super().__init__(
            message_id=message_id,
            correlation_id=correlation_id,
            causation_id=causation_id,
            metadata_context=metadata_context,
            headers=delivery.headers,
        )
        self.id = notification.id
        self.key = notification.aggregate.key
        self.revision = notification.revision
        self.timestamp = notification.timestamp
        self.data = data

    def __repr__(self) -> str:
        return f"<ReceivedEvent {self.id} {self.data!r}>"


EventHandler = Callable[[ReceivedEvent[DataT]], Awaitable[None]]
"""Takes an event; what it raises is logged and ends nothing."""


async def subscribe(
    transport: Transport,
    event: Event[DataT],
    handler: EventHandler[DataT],
    telemetry: TelemetryManager = SILENT,
    **options: Unpack[SubscribeOptions],
) -> EventSubscription:
    """Call the handler with each event from now on.

    With telemetry each has a CONSUMER span.

    Raises:
        ValueError: an option is out of bounds.
        ServiceError: there is no connection, or the server refuses the subject.
        TypeError: there is no such option, or the handler is not async.
    """
    if not options.keys() <= _SUBSCRIBE_OPTIONS:
        raise unknown_option(options, _SUBSCRIBE_OPTIONS, "a subscription")
    check_async(handler, f"the handler of event {event.name}")
    queue_group = options.get("queue_group", "")
    if queue_group:
        subjects.check_queue_group(queue_group)
    max_concurrency = options.get("max_concurrency", 10)
    check_concurrency(max_concurrency)
    await transport.connect()
    admission = Admission(max_concurrency=max_concurrency, max_queue=_MAX_QUEUE)
    told = None if telemetry is SILENT else EventTelemetry(telemetry, event, queue_group)
    worker = _EventWorker(event, handler, told)
    interest = transport.subscribe(
        event.subject, lambda delivery: admission.offer(Job(worker, delivery)), queue_group
    )
    subscription = EventSubscription(transport, interest, admission)
    try:
        await transport.fence()
    except BaseException:
        await subscription.unsubscribe()
        raise
    return subscription


class EventSubscription:
    """A running subscription; `async with` ends it."""

    def __init__(self, transport: Transport, interest: Subscription, admission: Admission) -> None:
        self._transport = transport
        self._interest = interest
        self._admission = admission

    async def unsubscribe(self) -> None:
        """Take no more events, and wait until those that arrived are handled.

        It waits for 30 seconds at most.
        """
        await self._transport.unsubscribe([self._interest])
        await self._admission.drain(_DRAIN_TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.unsubscribe()


class _EventWorker(Generic[DataT]):
    def __init__(
        self, event: Event[DataT], handler: EventHandler[DataT], telemetry: EventTelemetry | None
    ) -> None:
        self._event = event
        self._telemetry = telemetry
        self._handler = handler
        self._codec = codec_of(event)

    async def run(self, job: Job) -> None:
        try:
            notification = self._codec.decode(job.delivery.payload)
        except InvalidArgumentError as error:
            _LOG.warning(
                "a message on %s is no event of the contract: %s",
                self._event.subject,
                error.details or error,
            )
            if self._telemetry is not None:
                self._telemetry.refuse(job.delivery.headers, error)
        else:
            await self._handle(ReceivedEvent[DataT](notification, notification.data, job.delivery))
        job.settled = True

    async def _handle(self, received: ReceivedEvent[DataT]) -> None:
        CURRENT.set(received)
        telemetry, started = self._telemetry, perf_counter()
        failure: BaseException | None = None
        span = None if telemetry is None else telemetry.begin(received)
        try:
            await self._handler(received)
        except asyncio.CancelledError as error:
            failure = error
            _LOG.warning("the handler of %s was cancelled", self._event.subject)
        except Exception as error:  # noqa: BLE001 - what a handler raises ends nothing
            failure = error
            _LOG.exception("the handler of %s failed", self._event.subject)
        except BaseException as error:
            failure = error
            raise
        finally:
            if telemetry is not None:
                telemetry.end(span, perf_counter() - started, failure)

    def refuse(self, job: Job, error: ServiceError) -> None:
        _LOG.error("an event on %s was dropped: %s", self._event.subject, error.label)
        if self._telemetry is not None and not job.begun:
            self._telemetry.refuse(job.delivery.headers, error)

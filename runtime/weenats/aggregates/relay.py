"""Sends the events of commits on to their subscribers."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from weenats._internal.limited_log import LimitedLogger
from weenats.aggregates.commits import read_commit
from weenats.aggregates.errors import BrokenHistoryError
from weenats.aggregates.store import PARTITIONS, commit_stream
from weenats.codec.metadata import message_metadata
from weenats.context import MessageContext
from weenats.errors import AlreadyExistsError, ServiceError
from weenats.protocol import headers as header_names
from weenats.protocol import subjects
from weenats.protocol.partitions import partition_of
from weenats.streams import store
from weenats.streams.consumers import CONSUMER
from weenats.telemetry.manager import SILENT
from weenats.telemetry.messaging import EventTelemetry
from weenats.transport.jetstream import ConsumerConfig, JetStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from weenats.aggregates.commits import Commit
    from weenats.contract import Event
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import PulledMessage

__all__ = ["RELAY", "Relay"]
RELAY: Final = "relay"
"""The name of the durable consumer that sends events on."""
_LOG: Final = LimitedLogger("weenats.aggregates")
_ACK_WAIT: Final = 10.0
_AGAIN: Final = 1.0
"""Seconds after which an event is sent again, when it could not be."""
_BATCH: Final = 8
_STUCK: Final = 30.0
"""After how many seconds of failures the relay counts as stuck."""
_NOT_RECORDED: Final = nullcontext(b"")


class Relay:
    """Publishes the events of all commits of a service, in the order of each key.

    All instances of the service share the work: of each partition one commit at a time is on its
    way, so that order holds whichever instance gets it, also after one has died. An event whose
    instance dies before the commit is acknowledged is published again, with the same id.

    Args:
        transport: the connection.
        service: the name of the service.
        events: the events of its aggregates that are kept in streams.
        telemetry: records PRODUCER spans, in the trace of the command, and metrics.
    """

    def __init__(
        self,
        transport: Transport,
        service: str,
        events: Iterable[Event[Any]],
        telemetry: TelemetryManager = SILENT,
    ) -> None:
        self._telemetry = telemetry
        self._failing: dict[str, tuple[float, ServiceError]] = {}
        self._transport = transport
        self._events = {event.path: event for event in events}
        self._service = service
        self._jetstream = JetStream(transport)
        self._stream = commit_stream(service)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_paused(self) -> bool:
        """False: it has no circuit breaker."""
        return False

    @property
    def problem(self) -> str:
        """Why it is stuck: events have not been sent on for a while; "" if it is not."""
        now = monotonic()
        for since, error in self._failing.values():
            if now - since >= _STUCK:
                return f"it cannot send events on: {error}"
        return ""

    async def start(self) -> None:
        """Create what is missing on the server, and begin.

        Raises:
            ServiceError: JetStream is not available.
        """
        await asyncio.gather(*map(self._create, range(PARTITIONS)))
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._run(partition), context=Context())
            for partition in range(PARTITIONS)
        ]

    async def close(self) -> None:
        """End; what is not acknowledged goes to another instance, or to the next start."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _create(self, partition: int) -> None:
        config = ConsumerConfig(
            name=_consumer(partition),
            filters=(subjects.commits(self._service, partition),),
            ack_wait=_ACK_WAIT,
            max_ack_pending=1,
            description=f"sends the events of {self._service} on",
            metadata={CONSUMER: RELAY},
        )
        with suppress(AlreadyExistsError):  # with settings that an operator has chosen
            await self._jetstream.create_consumer(self._stream, config)

    async def _run(self, partition: int) -> None:
        while True:
            try:
                async with self._jetstream.pull(
                    self._stream, _consumer(partition), batch=_BATCH
                ) as messages:
                    async for message in messages:
                        await self._pass_on(message)
            except ServiceError as error:
                self._note_failure(_consumer(partition), error)
                _LOG.warning("the events of %s are not sent on: %s", self._service, error)
            await asyncio.sleep(_AGAIN)
            try:
                await self._create(partition)
            except ServiceError:
                continue

    async def _pass_on(self, message: PulledMessage) -> None:
        aggregate = message.subject.split(".")[-2]
        try:
            commit = read_commit(message)
            events = [self._event(aggregate, name) for name, _ in commit.events]
        except BrokenHistoryError as error:
            _LOG.error("%s: its events are not sent on", error)
            message.term()
            return
        try:
            for index, event in enumerate(events):
                await self._send(event, commit, index, message.headers)
                message.in_progress()
        except ServiceError as error:
            self._note_failure(message.consumer, error)
            _LOG.warning("an event of %s cannot be sent on now: %s", self._service, error)
            message.nak(_AGAIN)
        except asyncio.CancelledError:
            with suppress(ServiceError):
                message.nak()  # at once to another instance
            raise
        else:
            self._failing.pop(message.consumer, None)
            message.ack()

    def _note_failure(self, consumer: str, error: ServiceError) -> None:
        since, _ = self._failing.get(consumer, (monotonic(), error))
        self._failing[consumer] = since, error

    async def _send(
        self, event: Event[Any], commit: Commit, index: int, headers: Mapping[str, str]
    ) -> None:
        metadata = _metadata(commit, index)
        payload = _notification(commit, event, index, metadata)
        with (
            _NOT_RECORDED
            if self._telemetry is SILENT
            else EventTelemetry.of_publisher(self._telemetry, event).publishing(
                metadata, len(payload), headers
            )
        ) as trace:
            await self._publish(event, commit, index, payload, trace or _propagated(headers))

    async def _publish(
        self, event: Event[Any], commit: Commit, index: int, payload: bytes, headers: bytes
    ) -> None:
        stream = event.stream
        if stream is None:
            self._transport.publish(event.subject, payload, headers)
            return
        partition = partition_of(commit.key, stream.partitions)
        await store(
            self._transport,
            stream,
            subjects.stored_event(self._service, partition, event.path),
            payload,
            headers,
            message_id=commit.event_ids[index],
        )

    def _event(self, aggregate: str, name: str) -> Event[Any]:
        event = self._events.get(f"{aggregate}.{name}")
        if event is None:
            raise BrokenHistoryError(
                f"{aggregate} has a stored event {name}, which is not in the contract"
            )
        return event


def _consumer(partition: int) -> str:
    return f"{RELAY}-{partition}"


def _propagated(headers: Mapping[str, str]) -> bytes:
    """Return the trace and the baggage of the command as header lines."""
    return header_names.encode(
        {name: headers[name] for name in header_names.PROPAGATED if name in headers}
    )


def _metadata(commit: Commit, index: int) -> MessageContext:
    return MessageContext(
        message_id=commit.event_ids[index],
        correlation_id=commit.correlation_id,
        causation_id=commit.message_id,
        timestamp=commit.timestamp,
    )


def _notification(commit: Commit, event: Event[Any], index: int, metadata: MessageContext) -> bytes:
    """Return an event of a commit as subscribers get it."""
    name, data = commit.events[index]
    aggregate = None if event.aggregate is None else event.aggregate.name
    return (
        b'{"id":"%b","type":"%b","aggregate":%b,"revision":%d,"timestamp":"%b","data":%b,"metadata":%b}'
        % (
            metadata.message_id.encode(),
            name.encode(),
            to_json({"type": aggregate, "key": commit.key}),
            commit.first_revision + index + 1,
            commit.timestamp.encode(),
            data,
            message_metadata(metadata),
        )
    )

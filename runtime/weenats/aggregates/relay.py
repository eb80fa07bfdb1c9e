"""Sends the events of commits on to their subscribers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from weenats._internal.limited_log import LimitedLogger
from weenats.aggregates.commits import read_commit
from weenats.aggregates.errors import BrokenHistoryError
from weenats.aggregates.store import PARTITIONS, commit_stream
from weenats.codec.metadata import message_metadata
from weenats.codec.upcasting import version_member
from weenats.context import MessageContext
from weenats.errors import AlreadyExistsError, ServiceError
from weenats.protocol import headers as header_names
from weenats.protocol import subjects
from weenats.protocol.partitions import partition_of
from weenats.streams import store
from weenats.transport.jetstream import ConsumerConfig, JetStream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weenats.aggregates.commits import Commit
    from weenats.contract import Event
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import PulledMessage

__all__ = ["Relay"]
_LOG: Final = LimitedLogger("weenats.aggregates")
_ACK_WAIT: Final = 10.0
_AGAIN: Final = 1.0
"""Seconds after which an event is sent again, when it could not be."""
_BATCH: Final = 8


class Relay:
    """Publishes the events of all commits of a service, in the order of each key.

    All instances of the service share the work: of each partition one commit at a time is on its
    way, so that order holds whichever instance gets it, also after one has died. An event whose
    instance dies before the commit is acknowledged is published again, with the same id.

    Args:
        transport: the connection.
        service: the name of the service.
        events: the events of its aggregates that are kept in streams.
    """

    def __init__(self, transport: Transport, service: str, events: Iterable[Event[Any]]) -> None:
        self._transport = transport
        self._events = {event.path: event for event in events}
        self._service = service
        self._jetstream = JetStream(transport)
        self._stream = commit_stream(service)
        self._tasks: list[asyncio.Task[None]] = []

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
            events = [self._event(aggregate, name) for name, *_ in commit.events]
        except BrokenHistoryError as error:
            _LOG.error("%s: its events are not sent on", error)
            message.term()
            return
        headers = header_names.encode(
            {
                name: message.headers[name]
                for name in header_names.PROPAGATED
                if name in message.headers
            }
        )
        try:
            for index, event in enumerate(events):
                payload = _notification(commit, aggregate, index)
                await self._send(event, commit, index, payload, headers)
                message.in_progress()
        except ServiceError as error:
            _LOG.warning("an event of %s cannot be sent on now: %s", self._service, error)
            message.nak(_AGAIN)
        except asyncio.CancelledError:
            with suppress(ServiceError):
                message.nak()  # at once to another instance
            raise
        else:
            message.ack()

    async def _send(
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
    return f"relay-{partition}"


def _notification(commit: Commit, aggregate: str, index: int) -> bytes:
    """Return an event of a commit as subscribers get it."""
    name, data, version = commit.events[index]
    event_id = commit.event_ids[index]
    metadata = MessageContext(
        message_id=event_id,
        correlation_id=commit.correlation_id,
        causation_id=commit.message_id,
        timestamp=commit.timestamp,
    )
    return (
        b'{"id":"%b","type":"%b",%b"aggregate":%b,"revision":%d,"timestamp":"%b","data":%b,"metadata":%b}'
        % (
            event_id.encode(),
            name.encode(),
            version_member(version),
            to_json({"type": aggregate, "key": commit.key}),
            commit.first_revision + index + 1,
            commit.timestamp.encode(),
            data,
            message_metadata(metadata),
        )
    )

"""The relay: publishes the events of commits."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import start_task
from weenats.aggregates.commits import read_commit
from weenats.aggregates.errors import BrokenHistoryError
from weenats.aggregates.store import commit_stream
from weenats.codec.metadata import message_metadata
from weenats.codec.upcasting import version_member
from weenats.context import MessageContext
from weenats.errors import AlreadyExistsError, FailedPreconditionError, ServiceError
from weenats.protocol import subjects
from weenats.protocol.partitions import partition_of
from weenats.streams import store
from weenats.streams.consumer_upkeep import ConsumerUpkeep
from weenats.streams.consumers import restored
from weenats.streams.settings import CONSUMER
from weenats.telemetry.manager import SILENT
from weenats.telemetry.messaging import EventTelemetry
from weenats.telemetry.propagation import received_header_lines
from weenats.transport.jetstream import (
    ConsumerConfig,
    ConsumerMissingError,
    JetStream,
    StreamMissingError,
    for_one_reader,
    is_exclusive,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from weenats.aggregates.commits import Commit
    from weenats.aggregates.relay_cache import RecentCommits
    from weenats.contract import Event
    from weenats.protocol.headers import Headers
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import ExclusivePull, PulledMessage

    _StoredCommit = tuple[PulledMessage, Commit | None]

__all__ = ["RELAY", "Relay", "relay_consumers", "unsent_commits"]
RELAY: Final = "relay"
"""The name of the durable consumer of commits whose events are published."""
_LOG: Final = LimitedLogger("weenats.aggregates")
_ACK_WAIT: Final = 6.0
_AGAIN: Final = 1.0
"""Seconds until the next attempt to publish an event."""
_GRACE: Final = 0.5
"""The least time limit of `close`, in seconds."""
_WINDOW: Final = 200
"""`max_ack_pending` of the consumer of the relay."""
_BATCH: Final = 256
_STUCK: Final = 30.0
"""After how many seconds of failures the relay counts as stuck."""


class Relay:
    """Publishes the events of all commits of a service, in the order of each key.

    One instance publishes the events of an aggregate: the one that the server has pinned, until it
    stops or dies. If it dies before the commit is acknowledged, the events are published again,
    with the same ids.

    Args:
        transport: the connection.
        service: the name of the service.
        events: the events of its aggregates that are kept in streams.
        recent: the last commits of this instance.
        telemetry: records PRODUCER spans, in the trace of the command, and metrics.
    """

    def __init__(
        self,
        transport: Transport,
        service: str,
        events: Iterable[Event[Any]],
        recent: RecentCommits,
        telemetry: TelemetryManager = SILENT,
    ) -> None:
        self._telemetry = telemetry
        self._failing: dict[str, tuple[float, ServiceError]] = {}
        """By aggregate, whose events cannot be published, or by consumer, which cannot be read."""
        self._recent = recent
        self._transport = transport
        self._events = {event.path: event for event in events}
        self._storing = {_aggregate(each) for each in self._events.values() if each.stream}
        self._service = service
        self._jetstream = JetStream(transport)
        self._stream = commit_stream(service)
        self._tasks: list[asyncio.Task[None]] = []
        self._upkeep: ConsumerUpkeep | None = None

    @property
    def is_paused(self) -> bool:
        """False: it has no circuit breaker."""
        return False

    @property
    def problem(self) -> str:
        """Why no events have been published for a while; "" if it is not stuck."""
        now = monotonic()
        for since, error in self._failing.values():
            if now - since >= _STUCK:
                return f"it cannot publish events: {error}"
        return ""

    async def start(self) -> None:
        """Create what is missing on the server, and begin.

        Raises:
            FailedPreconditionError: the server is too old, or a consumer has other settings.
            ServiceError: JetStream is not available.
        """
        aggregates = _aggregates(self._events.values())
        wanted = [_config(self._service, each) for each in aggregates]
        await asyncio.gather(*map(self._create, wanted))
        self._upkeep = ConsumerUpkeep(self._transport, self._stream, wanted)
        self._upkeep.start()
        self._tasks = [
            start_task(self._run(aggregate), context=Context()) for aggregate in aggregates
        ]

    async def close(self, timeout: float) -> None:
        """End; what is not acknowledged goes to another instance, or to the next start.

        Args:
            timeout: how long the server may take to release the pinned consumers, in seconds; it
                has at least half a second, since other instances wait until they are released.
        """
        if self._upkeep is not None:
            self._upkeep.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(timeout, _GRACE))

    async def _create(self, config: ConsumerConfig) -> None:
        try:
            info = await self._jetstream.create_consumer(self._stream, config)
        except AlreadyExistsError:  # with settings that an operator has chosen
            info = await self._jetstream.consumer_info(self._stream, config.name)
        if not is_exclusive(info.config):
            raise FailedPreconditionError(
                f"the consumer {config.name} of {self._stream} may have several readers at a time:"
                " delete it, and use nats-server 2.11 or later"
            )
        if (changed := restored(info.config, config)) != info.config:
            await self._jetstream.update_consumer(self._stream, changed)

    async def _run(self, aggregate: str) -> None:
        name = _consumer(aggregate)
        while True:
            try:
                async with self._jetstream.exclusive_pull(
                    self._stream, name, batch=_BATCH
                ) as messages:
                    self._failing.pop(name, None)
                    while await self._pass_on(aggregate, messages, await messages.take()):
                        pass
            except ServiceError as error:
                self._note_failure(name, error)
                _LOG.warning("cannot publish the events of %s: %s", aggregate, error)
            if self._upkeep is not None:
                self._upkeep.look_soon()
            await asyncio.sleep(_AGAIN)

    async def _pass_on(
        self, aggregate: str, pull: ExclusivePull, messages: list[PulledMessage]
    ) -> bool:
        """Publish the events of some commits; return whether this instance has to go on."""
        done: set[int] = set()
        turn = pull.turn
        commits = self._publishable(aggregate, messages)

        def holds() -> bool:
            return pull.holds(turn)

        async def send(lane: list[_StoredCommit]) -> bool:
            for message, commit in lane:
                if commit is not None:
                    goes_on = await self._send_all(aggregate, commit, message.headers, holds)
                else:
                    goes_on = holds()
                if not goes_on:
                    return False
                done.add(message.sequence)
            return True

        try:
            if aggregate not in self._storing:  # nothing to wait for
                is_done = await send(commits)
            else:
                is_done = all(await asyncio.gather(*map(send, _lanes(commits))))
            return is_done and len(commits) == len(messages)
        finally:
            self._settle(messages, done)

    def _publishable(self, aggregate: str, messages: list[PulledMessage]) -> list[_StoredCommit]:
        """Return the commits up to the first one with an event that this instance does not know.

        That one, and those that follow, are for an instance of the newer contract. None stands for
        a message that is not a commit.
        """
        found: list[_StoredCommit] = []
        for message in messages:
            try:
                commit = self._recent.take(message.subject, message.payload) or read_commit(message)
            except BrokenHistoryError as error:
                _LOG.error("%s: its events are not published", error)
                found.append((message, None))
                continue
            for name, *_ in commit.events:
                if f"{aggregate}.{name}" not in self._events:
                    unknown = FailedPreconditionError(
                        f"{aggregate} has a stored event {name}, which is not in the contract of"
                        " this instance: an instance of the newer contract has to publish it"
                    )
                    self._note_failure(aggregate, unknown)
                    _LOG.warning("cannot publish the events of %s: %s", aggregate, unknown)
                    return found
            found.append((message, commit))
        return found

    @staticmethod
    def _settle(messages: list[PulledMessage], done: set[int]) -> None:
        """Acknowledge what is done, and return what is behind it to the server."""
        count = next((n for n, each in enumerate(messages) if each.sequence not in done), None)
        with suppress(ServiceError):  # then they are delivered again
            if count is None:
                messages[-1].ack()
                return
            if count:
                messages[count - 1].ack()
            for message in messages[count:]:
                message.nak()

    async def _send_all(
        self, aggregate: str, commit: Commit, headers: Headers, holds: Callable[[], bool]
    ) -> bool:
        """Publish the events of a commit; return False if this instance is not pinned any more."""
        for index, (name, *_) in enumerate(commit.events):
            event = self._events[f"{aggregate}.{name}"]
            while True:
                if not holds():
                    return False
                try:
                    sending = self._send(event, aggregate, commit, index, headers)
                    if sending is not None:
                        await sending
                    break
                except ServiceError as error:
                    self._note_failure(aggregate, error)
                    _LOG.warning(
                        "cannot publish an event of %s, retrying: %s", self._service, error
                    )
                await asyncio.sleep(_AGAIN)
        if self._failing:
            self._failing.pop(aggregate, None)
        return True

    def _note_failure(self, what: str, error: ServiceError) -> None:
        since, _ = self._failing.get(what, (monotonic(), error))
        self._failing[what] = since, error

    def _send(
        self,
        event: Event[Any],
        aggregate: str,
        commit: Commit,
        index: int,
        headers: Headers,
    ) -> Awaitable[object] | None:
        """Send an event; return what to wait for, None if there is nothing."""
        metadata = _metadata(commit, index)
        payload = _notification(commit, aggregate, index, metadata)
        if self._telemetry is SILENT:
            return self._publish(event, commit, index, payload, received_header_lines(headers))
        return self._recorded(event, commit, index, payload, metadata, headers)

    async def _recorded(  # noqa: PLR0913, PLR0917 - the parts of an event
        self,
        event: Event[Any],
        commit: Commit,
        index: int,
        payload: bytes,
        metadata: MessageContext,
        headers: Headers,
    ) -> None:
        telemetry = EventTelemetry.of_publisher(self._telemetry, event)
        with telemetry.publishing(metadata, len(payload), headers) as trace:
            lines = trace or received_header_lines(headers)
            publishing = self._publish(event, commit, index, payload, lines)
            if publishing is not None:
                await publishing

    def _publish(
        self, event: Event[Any], commit: Commit, index: int, payload: bytes, headers: bytes
    ) -> Awaitable[object] | None:
        stream = event.stream
        if stream is None:
            self._transport.publish(event.subject, payload, headers)
            return None
        partition = partition_of(commit.key, stream.partitions)
        return store(
            self._transport,
            stream,
            subjects.stored_event(self._service, partition, event.path),
            payload,
            headers,
            message_id=commit.event_ids[index],
        )


def _lanes(commits: list[_StoredCommit]) -> Iterable[list[_StoredCommit]]:
    """Return the commits by their partitions, of which each key has one."""
    lanes: defaultdict[str, list[_StoredCommit]] = defaultdict(list)
    for each in commits:
        lanes[each[0].subject.split(".", 3)[2]].append(each)
    return lanes.values()


def _aggregate(event: Event[Any]) -> str:
    return event.path.partition(".")[0]


def _aggregates(events: Iterable[Event[Any]]) -> list[str]:
    return sorted(set(map(_aggregate, events)))


def relay_consumers(events: Iterable[Event[Any]]) -> tuple[str, ...]:
    """Return the names of the consumers of the relay on the server.

    Args:
        events: the events that are kept in streams.
    """
    return tuple(map(_consumer, _aggregates(events)))


async def unsent_commits(transport: Transport, service: str, aggregates: Iterable[str]) -> int:
    """Return how many commits have events that were not published yet.

    Args:
        transport: the connection.
        service: the name of the service.
        aggregates: the names of its aggregates; those that are not kept in streams have none.

    Raises:
        ServiceError: see JetStream.consumer_info.
    """
    jetstream, found = JetStream(transport), 0
    for aggregate in aggregates:
        with suppress(StreamMissingError, ConsumerMissingError):
            info = await jetstream.consumer_info(commit_stream(service), _consumer(aggregate))
            found += info.pending + info.unacknowledged
    return found


def _config(service: str, aggregate: str) -> ConsumerConfig:
    return for_one_reader(
        ConsumerConfig(
            name=_consumer(aggregate),
            filters=(subjects.commits_of(service, aggregate),),
            ack_wait=_ACK_WAIT,
            max_ack_pending=_WINDOW,
            description=f"sends the events of {aggregate} on",
            metadata={CONSUMER: RELAY},
        )
    )


def _consumer(aggregate: str) -> str:
    return f"{RELAY}-{aggregate}"


def _metadata(commit: Commit, index: int) -> MessageContext:
    event_id = commit.event_ids[index]
    return MessageContext(event_id, commit.correlation_id, commit.timestamp, commit.message_id)


def _notification(commit: Commit, aggregate: str, index: int, metadata: MessageContext) -> bytes:
    """Return an event of a commit as subscribers get it."""
    name, data, version = commit.events[index]
    return (
        b'{"id":"%b","type":"%b",%b"aggregate":{"type":"%b","key":%b},"revision":%d'
        b',"timestamp":"%b","data":%b,"metadata":%b}'
        % (
            metadata.message_id.encode(),
            name.encode(),
            version_member(version),
            aggregate.encode(),
            to_json(commit.key),
            commit.first_revision + index + 1,
            commit.timestamp.encode(),
            data,
            message_metadata(metadata),
        )
    )

"""The consumers on the server that deliver the events of a stream: one for each partition."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from weenats._internal.timestamps import age
from weenats.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    connection_error,
)
from weenats.protocol import subjects
from weenats.streams.settings import PARTITIONS, SERVICE
from weenats.streams.store import missing
from weenats.transport.jetstream import (
    ConsumerConfig,
    ConsumerInfo,
    ConsumerMissingError,
    JetStream,
    StreamMissingError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from datetime import datetime

    from weenats.contract import Stream
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import StreamInfo
    from weenats.transport.jetstream.config import Start

__all__ = [
    "CONSUMER",
    "ConsumerState",
    "StreamConsumer",
    "all_consumer_states",
    "consumer_state",
    "consumer_states",
    "restored",
]
ItemT = TypeVar("ItemT")
_AT_ONCE: Final = 8
"""Requests to the server at a time."""
_LIMITS: Final = frozenset({"headers_only", "max_batch", "max_expires", "max_bytes"})
"""Settings that keep parts of events back, or refuse requests for them."""
CONSUMER: Final = "weenats.consumer"
"""The metadata of a consumer on the server with the name of the durable consumer."""


@dataclass(frozen=True, slots=True)
class StreamConsumer:
    """A durable consumer of a stream.

    Attributes:
        transport: the connection.
        stream: the stream.
        name: the name of the consumer.
    """

    transport: Transport
    stream: Stream
    name: str

    def partition_name(self, partition: int) -> str:
        """Return the name of the consumer on the server for a partition.

        Args:
            partition: the partition.
        """
        return f"{self.name}-{partition}"

    def partition_names(self) -> list[str]:
        """Return the names of all its consumers on the server."""
        return [*map(self.partition_name, range(self.stream.partitions))]

    async def prepare(self, start: Start, ack_wait: float) -> None:
        """Create what is missing on the server; what is there goes on where it is.

        Args:
            start: where a new consumer begins.
            ack_wait: after how many seconds without a heartbeat (in-progress ack) an event is
                delivered again.

        Raises:
            StreamMissingError: the stream does not exist.
            FailedPreconditionError: it has another number of partitions.
            ServiceError: see JetStream.create_consumer.
        """
        jetstream = JetStream(self.transport)
        try:
            with suppress(ConsumerMissingError):
                # First: without consumers, as in memory, a missing stream is not the problem.
                await jetstream.consumer_info(self.stream.name, self.partition_name(0))
            info = await jetstream.stream_info(self.stream.name)
        except StreamMissingError:
            raise missing(self.stream) from None
        found = info.config.metadata.get(PARTITIONS)
        if found != str(self.stream.partitions):
            raise connection_error(
                FailedPreconditionError(
                    f"the stream {self.stream.name} has {found} partitions, and"
                    f" {self.stream.partitions} in the contract: run"
                    " `weenats streams plan CONTRACT`"
                )
            )
        await _for_each(
            self.configs(start, ack_wait), lambda wanted: self._prepare(jetstream, wanted)
        )

    def configs(self, start: Start, ack_wait: float) -> list[ConsumerConfig]:
        """Return the settings of its consumers on the server.

        Args:
            start: see `prepare`.
            ack_wait: see `prepare`.
        """
        stream = self.stream
        return [
            ConsumerConfig(
                name=self.partition_name(partition),
                filters=(
                    subjects.stored_event(stream.service, partition, ">"),
                    subjects.retry(stream.name, stream.service, partition, self.name),
                ),
                start=start,
                ack_wait=ack_wait,
                max_ack_pending=1,
                metadata={CONSUMER: self.name},
            )
            for partition in range(stream.partitions)
        ]

    async def begin_again(self, start: Start) -> None:
        """Let it begin elsewhere; running instances go on from there.

        Args:
            start: where it begins.

        Raises:
            ConsumerMissingError: the consumer does not exist.
            ServiceError: see JetStream.create_consumer.
        """
        jetstream = JetStream(self.transport)

        async def renew(config: ConsumerConfig) -> None:
            # Together, before an instance creates it again where it was.
            await self._delete(config.name)
            await jetstream.create_consumer(self.stream.name, config)

        await _for_each(self.configs(start, await self.ack_wait()), renew)

    async def ack_wait(self) -> float:
        """Return after how many seconds without a heartbeat an event is delivered again.

        Raises:
            ConsumerMissingError: the consumer does not exist.
            ServiceError: see JetStream.consumer_info.
        """
        jetstream = JetStream(self.transport)
        info = await jetstream.consumer_info(self.stream.name, self.partition_name(0))
        return info.config.ack_wait

    async def state(self) -> ConsumerState:
        """Return how far it is.

        Raises:
            ConsumerMissingError: the consumer does not exist.
            ServiceError: see JetStream.consumer_info.
        """
        stream = self.stream
        return await consumer_state(self.transport, stream.name, self.name, self.partition_names())

    async def delete(self) -> None:
        """Delete it from the server: its progress is lost.

        Raises:
            StreamMissingError: the stream does not exist.
            ServiceError: see JetStream.delete_consumer.
        """
        await _for_each(self.partition_names(), self._delete)

    async def _delete(self, name: str) -> None:
        with suppress(ConsumerMissingError):
            await JetStream(self.transport).delete_consumer(self.stream.name, name)

    async def _prepare(self, jetstream: JetStream, wanted: ConsumerConfig) -> None:
        stream, name = self.stream, wanted.name
        try:
            info = await jetstream.consumer_info(stream.name, name)
        except ConsumerMissingError:
            try:
                await jetstream.create_consumer(stream.name, wanted)
            except AlreadyExistsError:  # another instance with other settings was quicker
                info = await jetstream.consumer_info(stream.name, name)
            else:
                return
        if (changed := restored(info.config, wanted)) != info.config:
            await jetstream.update_consumer(stream.name, changed)


def restored(has: ConsumerConfig, wanted: ConsumerConfig) -> ConsumerConfig:
    """Return the settings of a consumer that somebody may have edited, so that no event is lost.

    Those that decide what is delivered, and how often, get their values back. Others, such as
    replicas, stay.

    Args:
        has: its settings.
        wanted: its settings when it is created.
    """
    kept = {name: value for name, value in has.other.items() if name not in _LIMITS}
    return replace(
        has,
        filters=wanted.filters,
        acknowledgement=wanted.acknowledgement,
        ack_wait=wanted.ack_wait,
        max_ack_pending=wanted.max_ack_pending,
        max_deliver=wanted.max_deliver,
        backoff=wanted.backoff,
        inactive_threshold=wanted.inactive_threshold,
        other=kept,
    )


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """How far a durable consumer is, all partitions together.

    Attributes:
        stream: the name of the stream.
        name: the name of the consumer.
        pending: how many events it has not received yet.
        unacknowledged: how many events are being processed, or wait until they are repeated.
        redelivered: how many of these were delivered more than once.
        lag: how many seconds ago the oldest event was stored that is not processed, 0 if all are;
            None if that is unknown, as stored events may not be read.
        paused: whether an operator has paused it on the server.
    """

    stream: str
    name: str
    pending: int
    unacknowledged: int
    redelivered: int
    lag: float | None
    paused: bool


async def consumer_state(
    transport: Transport, stream: str, name: str, consumers: Sequence[str]
) -> ConsumerState:
    """Return how far a durable consumer is.

    Args:
        transport: the connection.
        stream: the name of the stream.
        name: the name of the consumer.
        consumers: the names of its consumers on the server.

    Raises:
        ConsumerMissingError: the consumer does not exist.
        ServiceError: see JetStream.consumer_info.
    """
    jetstream = JetStream(transport)
    found: list[ConsumerInfo] = []

    async def look(consumer: str) -> None:
        found.append(await jetstream.consumer_info(stream, consumer))

    await _for_each(consumers, look)
    return await _state(jetstream, name, found)


async def consumer_states(transport: Transport, stream: Stream) -> list[ConsumerState]:
    """Return how far the durable consumers of a stream are, by name.

    Args:
        transport: the connection.
        stream: the stream.

    Raises:
        StreamMissingError: the stream does not exist.
        ServiceError: see JetStream.consumers.
    """
    try:
        return await _states(JetStream(transport), stream.name)
    except StreamMissingError:
        raise missing(stream) from None


async def all_consumer_states(
    transport: Transport, streams: Iterable[StreamInfo], service: str | None = None
) -> dict[str, list[ConsumerState]]:
    """Return how far the durable consumers of the streams of services are.

    Streams whose consumers may not be listed are left out.

    Args:
        transport: the connection.
        streams: the streams of the account.
        service: whose streams; None for those of all services.

    Returns:
        The consumers by the names of the services whose events they process.

    Raises:
        ServiceError: see JetStream.consumers.
    """
    jetstream = JetStream(transport)
    found: dict[str, list[ConsumerState]] = {}
    for each in streams:
        owner = each.config.metadata.get(SERVICE)
        if owner is not None and service in {None, owner} and each.consumers:
            with suppress(PermissionDeniedError):  # another service's, of all in the account
                found.setdefault(owner, []).extend(await _states(jetstream, each.config.name))
    return {owner: states for owner, states in sorted(found.items()) if states}


async def _for_each(items: Iterable[ItemT], call: Callable[[ItemT], Awaitable[None]]) -> None:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def run(item: ItemT) -> None:
        async with limit:
            await call(item)

    await asyncio.gather(*map(run, items))


async def _state(jetstream: JetStream, name: str, infos: Sequence[ConsumerInfo]) -> ConsumerState:
    return ConsumerState(
        infos[0].stream,
        name,
        pending=sum(each.pending for each in infos),
        unacknowledged=sum(each.unacknowledged for each in infos),
        redelivered=sum(each.redelivered for each in infos),
        lag=await _lag(jetstream, infos),
        paused=any(each.paused for each in infos),
    )


async def _states(jetstream: JetStream, stream: str) -> list[ConsumerState]:
    of_name: dict[str, list[ConsumerInfo]] = {}
    for info in await jetstream.consumers(stream):
        name = info.config.metadata.get(CONSUMER)
        if name is not None:
            of_name.setdefault(name, []).append(info)
    return [await _state(jetstream, name, found) for name, found in sorted(of_name.items())]


async def _lag(jetstream: JetStream, infos: Sequence[ConsumerInfo]) -> float | None:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def oldest(info: ConsumerInfo, subject: str) -> datetime | None:
        async with limit:
            try:
                start = info.acknowledged + 1
                return (await jetstream.next(info.stream, subject, start=start)).time
            except NotFoundError:
                return None

    behind = [each for each in infos if each.pending or each.unacknowledged]
    try:
        times = await asyncio.gather(
            *(oldest(each, subject) for each in behind for subject in each.config.filters or (">",))
        )
    except ServiceError:  # it may not read stored events
        return None
    return max((age(each) for each in times if each is not None), default=0.0)

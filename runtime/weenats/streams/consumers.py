"""The consumers on the server that deliver the events of a stream: one for each partition."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from weenats.errors import AlreadyExistsError, FailedPreconditionError
from weenats.protocol import subjects
from weenats.streams.publish import missing
from weenats.streams.settings import PARTITIONS
from weenats.transport.jetstream import (
    ConsumerConfig,
    ConsumerInfo,
    ConsumerMissingError,
    JetStream,
    StreamMissingError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from weenats.contract import Stream
    from weenats.transport.base import Transport
    from weenats.transport.jetstream.config import Start

__all__ = ["ConsumerState", "StreamConsumer", "consumer_states"]
_AT_ONCE: Final = 8
"""Requests to the server at a time."""
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

    async def prepare(self, start: Start, ack_wait: float) -> None:
        """Create what is missing on the server; what is there goes on where it is.

        Args:
            start: where a new consumer begins.
            ack_wait: after how many seconds without a sign of life an event is delivered again.

        Raises:
            StreamMissingError: the stream does not exist.
            FailedPreconditionError: it has another number of partitions.
            ServiceError: see JetStream.create_consumer.
        """
        jetstream = JetStream(self.transport)
        try:
            info = await jetstream.stream_info(self.stream.name)
        except StreamMissingError:
            raise missing(self.stream) from None
        found = info.config.metadata.get(PARTITIONS)
        if found != str(self.stream.partitions):
            raise FailedPreconditionError(
                f"the stream {self.stream.name} has {found} partitions, and"
                f" {self.stream.partitions} in the contract: run `weenats streams plan CONTRACT`"
            )
        await self._for_each(lambda each: self._prepare(jetstream, each, start, ack_wait))

    async def ack_wait(self) -> float:
        """Return after how many seconds without a sign of life an event is delivered again.

        Raises:
            ConsumerMissingError: the consumer does not exist.
            ServiceError: see JetStream.consumer_info.
        """
        jetstream = JetStream(self.transport)
        info = await jetstream.consumer_info(self.stream.name, self.partition_name(0))
        return info.config.ack_wait

    async def delete(self) -> None:
        """Delete it from the server: its progress is lost.

        Raises:
            StreamMissingError: the stream does not exist.
            ServiceError: see JetStream.delete_consumer.
        """
        jetstream = JetStream(self.transport)

        async def delete(partition: int) -> None:
            with suppress(ConsumerMissingError):
                await jetstream.delete_consumer(self.stream.name, self.partition_name(partition))

        await self._for_each(delete)

    async def _prepare(
        self, jetstream: JetStream, partition: int, start: Start, ack_wait: float
    ) -> None:
        stream, name = self.stream, self.partition_name(partition)
        wanted = ConsumerConfig(
            name=name,
            filters=(
                subjects.stored_event(stream.service, partition, ">"),
                subjects.retry(stream.name, stream.service, partition, self.name),
            ),
            start=start,
            ack_wait=ack_wait,
            max_ack_pending=1,
            metadata={CONSUMER: self.name},
        )
        try:
            info = await jetstream.consumer_info(stream.name, name)
        except ConsumerMissingError:
            try:
                await jetstream.create_consumer(stream.name, wanted)
            except AlreadyExistsError:  # another instance with other settings was quicker
                info = await jetstream.consumer_info(stream.name, name)
            else:
                return
        has = info.config
        if has.filters != wanted.filters or has.ack_wait != ack_wait or has.max_ack_pending != 1:
            changed = replace(has, filters=wanted.filters, ack_wait=ack_wait, max_ack_pending=1)
            await jetstream.update_consumer(stream.name, changed)

    async def _for_each(self, call: Callable[[int], Awaitable[None]]) -> None:
        limit = asyncio.Semaphore(_AT_ONCE)

        async def run(partition: int) -> None:
            async with limit:
                await call(partition)

        await asyncio.gather(*map(run, range(self.stream.partitions)))


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """How far a durable consumer is, all partitions together.

    Attributes:
        stream: the name of the stream.
        name: the name of the consumer.
        pending: how many events it has not received yet.
        unacknowledged: how many events are being processed, or wait until they are repeated.
        redelivered: how many of these were delivered more than once.
    """

    stream: str
    name: str
    pending: int
    unacknowledged: int
    redelivered: int


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
        infos = await JetStream(transport).consumers(stream.name)
    except StreamMissingError:
        raise missing(stream) from None
    of_name: dict[str, list[ConsumerInfo]] = {}
    for info in infos:
        name = info.config.metadata.get(CONSUMER)
        if name is not None:
            of_name.setdefault(name, []).append(info)
    return [
        ConsumerState(
            stream.name,
            name,
            pending=sum(each.pending for each in found),
            unacknowledged=sum(each.unacknowledged for each in found),
            redelivered=sum(each.redelivered for each in found),
        )
        for name, found in sorted(of_name.items())
    ]

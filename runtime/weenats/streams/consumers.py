"""The consumers on the server that deliver the events of a stream: one for each partition."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from weenats._internal.concurrency import for_each
from weenats.errors import AlreadyExistsError, FailedPreconditionError, connection_error
from weenats.protocol import subjects
from weenats.streams.consumer_states import ConsumerState, consumer_state
from weenats.streams.settings import CONSUMER, PARTITIONS
from weenats.streams.store import missing
from weenats.transport.jetstream import (
    ConsumerConfig,
    ConsumerMissingError,
    JetStream,
    StreamMissingError,
)

if TYPE_CHECKING:
    from weenats.contract import Stream
    from weenats.transport.base import Transport
    from weenats.transport.jetstream.config import Start

__all__ = ["StreamConsumer", "restored"]
_LIMITS: Final = frozenset({"headers_only", "max_batch", "max_expires", "max_bytes"})
"""Settings that keep parts of events back, or refuse requests for them."""


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
            info = await jetstream.stream_info(self.stream.name)
        except StreamMissingError as error:
            raise missing(self.stream, answer=error) from None
        found = info.config.metadata.get(PARTITIONS)
        if found != str(self.stream.partitions):
            raise connection_error(
                FailedPreconditionError,
                f"the stream {self.stream.name} has {found} partitions, and"
                f" {self.stream.partitions} in the contract: run"
                " `weenats streams plan CONTRACT`",
            )
        await for_each(
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

        await for_each(self.configs(start, await self.ack_wait()), renew)

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
        await for_each(self.partition_names(), self._delete)

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

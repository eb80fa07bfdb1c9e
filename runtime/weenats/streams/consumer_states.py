"""How far the durable consumers of streams are, as the server knows it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weenats._internal.concurrency import for_each
from weenats._internal.timestamps import age
from weenats.errors import NotFoundError, PermissionDeniedError, ServiceError
from weenats.streams.settings import CONSUMER, SERVICE
from weenats.streams.store import missing
from weenats.transport.jetstream import JetStream, StreamMissingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weenats.contract import Stream
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import ConsumerInfo, StreamInfo

__all__ = [
    "ConsumerState",
    "age_of_next",
    "all_consumer_states",
    "consumer_state",
    "consumer_states",
]


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
    found = await for_each(consumers, lambda each: jetstream.consumer_info(stream, each))
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


async def age_of_next(jetstream: JetStream, stream: str, subject: str, start: int) -> float:
    """Return how many seconds ago the first message from a sequence on was stored, 0 without one.

    Args:
        jetstream: the connection to JetStream.
        stream: the name of the stream.
        subject: the subject, which may have wildcards.
        start: the sequence.

    Raises:
        ServiceError: see JetStream.next.
    """
    try:
        message = await jetstream.next(stream, subject, start=start)
    except NotFoundError:
        return 0.0
    return age(message.time)


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
    behind = [
        (each, subject)
        for each in infos
        if each.pending or each.unacknowledged
        for subject in each.config.filters or (">",)
    ]
    try:
        ages = await for_each(
            behind,
            lambda each: age_of_next(jetstream, each[0].stream, each[1], each[0].acknowledged + 1),
        )
    except ServiceError:  # it may not read stored events
        return None
    return max(ages, default=0.0)

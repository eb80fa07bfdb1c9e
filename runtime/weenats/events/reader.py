"""Reading durable events in the order of their stream, for projections."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from typing_extensions import TypeVar

from weenats._internal.tasks import retrieve, start_task
from weenats.codec.events import event_codec
from weenats.errors import ServiceError
from weenats.events.received_event import ReceivedEvent
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.subjects import stored_event
from weenats.streams.store import missing
from weenats.transport.event_loop import finish_on
from weenats.transport.jetstream import (
    ConsumerConfig,
    ConsumerMissingError,
    JetStream,
    StreamMissingError,
    StreamReplacedError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
    from datetime import datetime

    from weenats.contract import Event, Stream
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import ConsumerInfo, StreamInfo
    from weenats.transport.jetstream.config import Start

__all__ = [
    "StoredEvent",
    "continues",
    "count_stored",
    "read_events",
    "read_stored",
    "replaced",
    "stream_of",
]
DataT = TypeVar("DataT")
YieldedT = TypeVar("YieldedT")
_AHEAD: Final = 256
_PAUSE: Final = 0.1
_UNUSED: Final = 60.0
"""After how many seconds without use the server removes the reader's consumer."""


def read_events(
    transport: Transport,
    *events: Event[DataT],
    start: Literal["beginning", "new"] | int | datetime = "beginning",
    follow: bool = True,
) -> AsyncGenerator[ReceivedEvent[DataT, Any]]:
    """Yield durable events of one stream in its order, without gaps and repetitions.

    Nothing is remembered on the server and nothing is acknowledged: the reader keeps the `sequence`
    of the last event that it has processed, and starts with the next one. A lost connection, a
    server that restarts or a consumer that is removed is made up for.

    Args:
        transport: the connection.
        events: the events, which one stream keeps.
        start: "beginning", "new", the sequence of an event, or a time.
        follow: whether to wait for new events; else it ends with the last one that is there.

    Example:
        ```python
        async for event in read_events(transport, ITEM_ADDED, start=checkpoint + 1):
            totals[event.key] += event.data.price
            checkpoint = event.sequence
        ```

    Raises:
        ValueError: there is no event, or they are not durable events of one stream.
        StreamMissingError: the stream does not exist.
        StreamReplacedError: it was deleted and made anew meanwhile, or has lost events.
        InvalidArgumentError: an event does not match the contract.
        ServiceError: see JetStream.create_consumer.
    """
    return _read(transport, events, start, _event_of, follow=follow)


class StoredEvent(NamedTuple):
    """An event that was read from its stream.

    Attributes:
        path: the aggregate and the name of the event.
        event: the event.
        sequence: its sequence in the stream; that of `event` is None for events of other origins.
        pending: how many events of the stream follow it now.
    """

    path: str
    event: ReceivedEvent[Any, Any]
    sequence: int
    pending: int


def read_stored(
    transport: Transport,
    *events: Event[Any],
    start: Start = "beginning",
    follow: bool = True,
    created: datetime | None = None,
) -> AsyncGenerator[StoredEvent]:
    """Yield durable events as `read_events`, with what a projection needs to know about them.

    Args:
        transport: the connection.
        events: the events, which one stream keeps.
        start: "beginning", "new", the sequence of an event, or a time.
        follow: whether to wait for new events; else it ends with the last one that is there.
        created: when the stream was created whose events were read before; None if none were.

    Raises:
        ValueError: there is no event, or they are not durable events of one stream.
        StreamMissingError: the stream does not exist.
        StreamReplacedError: it is another one than the one that was read before.
        InvalidArgumentError: an event does not match the contract.
        ServiceError: see JetStream.create_consumer.
    """
    return _read(transport, events, start, _itself, follow=follow, created=created)


def _event_of(stored: StoredEvent) -> ReceivedEvent[Any, Any]:
    return stored.event


def _itself(stored: StoredEvent) -> StoredEvent:
    return stored


async def _read(  # noqa: PLR0913 - what to read, and what to yield
    transport: Transport,
    events: Sequence[Event[Any]],
    start: Start,
    yielded: Callable[[StoredEvent], YieldedT],
    *,
    follow: bool,
    created: datetime | None = None,
) -> AsyncGenerator[YieldedT]:
    """Yield events, or something of each.

    There is no async generator within it: when a program ends, asyncio closes all of them at once,
    and one that closes another one meanwhile fails.
    """
    stream = stream_of(events)
    jetstream, place = JetStream(transport), start
    codecs = {each.path: event_codec(each) for each in events}
    while True:
        try:
            info = await jetstream.stream_info(stream.name)
            if not continues(info, created, place):
                raise replaced(stream)
            if place != "beginning":
                created = info.created
            if place == "new":  # also for the consumers after the first one
                place = info.last_sequence + 1
            async with _Reader(jetstream, stream, events, place) as reader:
                if not follow and not reader.pending:
                    return
                name = reader.config.name
                async with jetstream.gapless_pull(stream.name, name, batch=_AHEAD) as messages:
                    async for message in messages:
                        path = message.subject.split(".", 3)[3]
                        notification = codecs[path].decode(message.payload)
                        event = ReceivedEvent[Any, Any](notification, message.headers)
                        event.sequence = message.sequence
                        place, created = message.sequence + 1, info.created
                        stored = StoredEvent(path, event, message.sequence, message.pending)
                        yield yielded(stored)
                        if not follow and not message.pending:
                            return
        except StreamMissingError as error:
            raise missing(stream, answer=error) from None
        except ConsumerMissingError:
            await asyncio.sleep(_PAUSE)  # the server has restarted, or nobody read for long


def continues(info: StreamInfo, created: datetime | None, place: Start) -> bool:
    """Return whether a stream is the one that was read before, with all that was read.

    Args:
        info: the stream.
        created: when that was created which was read; None if none was, or it is unknown.
        place: the sequence to go on with.
    """
    if created is None:
        return True
    is_there = not isinstance(place, int) or place <= info.last_sequence + 1
    return info.created == created and is_there


def replaced(stream: Stream) -> StreamReplacedError:
    """Return the error for a stream that is not the one that was read before.

    Args:
        stream: the stream.
    """
    return StreamReplacedError(
        f"the stream {stream.name} was deleted and made anew, or has lost events, since its events"
        " were read: begin anew, a projection by `weenats rebuild MODULE:PROJECTION`"
    )


async def count_stored(transport: Transport, *events: Event[Any], start: int) -> int:
    """Return how many durable events are stored from a sequence on.

    Args:
        transport: the connection.
        events: the events, which one stream keeps.
        start: the sequence.

    Raises:
        ValueError: there is no event, or they are not durable events of one stream.
        StreamMissingError: the stream does not exist.
        ServiceError: see JetStream.create_consumer.
    """
    stream = stream_of(events)
    try:
        async with _Reader(JetStream(transport), stream, events, start) as info:
            return info.pending
    except StreamMissingError:
        raise missing(stream) from None


class _Reader:
    """A consumer of events that remembers nothing, and is removed in the end.

    Args:
        jetstream: the API of the server.
        stream: the stream.
        events: the events.
        start: where it begins.
    """

    def __init__(
        self, jetstream: JetStream, stream: Stream, events: Sequence[Event[Any]], start: Start
    ) -> None:
        self._jetstream = jetstream
        self._loop = asyncio.get_running_loop()
        self._stream = stream.name
        self._config = ConsumerConfig(
            f"reader-{STAMPER.new_id()}",
            tuple(stored_event(stream.service, "*", each.path) for each in events),
            start=start,
            acknowledgement="none",
            durable=False,
            memory=True,
            replicas=1,
            inactive_threshold=_UNUSED,
        )

    async def __aenter__(self) -> ConsumerInfo:
        creating = start_task(self._jetstream.create_consumer(self._stream, self._config))
        try:
            await asyncio.wait([creating])
            return creating.result()
        except BaseException:
            # Not before it has ended: the server may execute what comes next first.
            creating.add_done_callback(self._on_created)
            raise

    def _on_created(self, creating: asyncio.Task[ConsumerInfo]) -> None:
        retrieve(creating)
        self._discard()

    async def __aexit__(self, *_: object) -> None:
        await finish_on(self._loop, self._end)

    async def _end(self) -> None:
        self._discard()

    def _discard(self) -> None:
        with suppress(ServiceError):
            self._jetstream.discard_consumer(self._stream, self._config.name)


def stream_of(events: Iterable[Event[Any]]) -> Stream:
    """Return the stream that keeps some events.

    Args:
        events: the events.

    Raises:
        ValueError: there is no event, or they are not durable events of one stream.
    """
    streams: dict[str, Stream] = {}  # events that were pickled have copies
    for event in events:
        if event.stream is None:
            raise ValueError(f"{event.path} is not a durable event: no stream stores it")
        streams[event.stream.name] = event.stream
    if not streams:
        raise ValueError("there are no events")
    if len(streams) > 1:
        names = ", ".join(sorted(streams))
        raise ValueError(
            f"the events are in several streams ({names}); a projection selects one with stream="
        )
    return next(iter(streams.values()))

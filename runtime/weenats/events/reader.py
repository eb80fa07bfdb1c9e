"""Reading durable events in the order of their stream, for projections."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

from typing_extensions import TypeVar

from weenats._internal.tasks import retrieve, start_task
from weenats.codec.events import event_codec
from weenats.errors import InvalidArgumentError, NotFoundError, ServiceError
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

    from weenats.codec.events import EventCodec
    from weenats.contract import Event, Stream
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import (
        ConsumerInfo,
        PulledMessage,
        StoredMessage,
        StreamInfo,
    )
    from weenats.transport.jetstream.config import Start
    from weenats.transport.jetstream.gapless_pull import GaplessPull

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
_IDLE: Final = 1.0
"""After how many seconds without a message that is expected to look whether there are any more."""
_QUIET: Final = 10.0
"""The same for messages that nobody expects: the server of the consumer may not get new ones."""
_MAX_LATE: Final = 5
"""After how many looks in a row another consumer is made, which may be on another server."""
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
    return _read(transport, events, start, StoredEvent.decoded, follow=follow)


class StoredEvent(NamedTuple):
    """An event that was read from its stream, and is not decoded yet.

    Attributes:
        path: the aggregate and the name of the event.
        message: the message with the event.
        codec: decodes it.
    """

    path: str
    message: PulledMessage
    codec: EventCodec

    @property
    def sequence(self) -> int:
        """Its sequence in the stream."""
        return self.message.sequence

    @property
    def pending(self) -> int:
        """How many events of the stream followed it when it was delivered."""
        return self.message.pending

    def decoded(self) -> ReceivedEvent[Any, Any]:
        """Return the event.

        Raises:
            InvalidArgumentError: it does not match the contract; a note says which event it is.
        """
        try:
            notification = self.codec.decode(self.message.payload)
        except InvalidArgumentError as error:
            error.of_connection = True  # else a handler that reads would blame its caller
            error.add_note(f"event {self.sequence} of the stream {self.message.stream}")
            raise
        event = ReceivedEvent[Any, Any](notification, self.message.headers)
        event.sequence = self.sequence
        return event


def read_stored(
    transport: Transport,
    *events: Event[Any],
    start: Start = "beginning",
    follow: bool = True,
    created: datetime | None = None,
) -> AsyncGenerator[StoredEvent | None]:
    """Yield durable events as `read_events`, with what a projection needs to know about them.

    None stands for events that followed the last one, and were removed before they were delivered.

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
        ServiceError: see JetStream.create_consumer.
    """
    return _read(transport, events, start, _itself, follow=follow, created=created, without=(None,))


def _itself(stored: StoredEvent) -> StoredEvent | None:
    return stored


async def _read(  # noqa: PLR0913 - what to read, and what to yield
    transport: Transport,
    events: Sequence[Event[Any]],
    start: Start,
    yielded: Callable[[StoredEvent], YieldedT],
    *,
    follow: bool,
    created: datetime | None = None,
    without: Sequence[YieldedT] = (),
) -> AsyncGenerator[YieldedT]:
    """Yield events, or something of each, and `without` where those that followed are gone.

    There is no async generator within it: when a program ends, asyncio closes all of them at once,
    and one that closes another one meanwhile fails.
    """
    stream = stream_of(events)
    jetstream, place = JetStream(transport), start
    codecs = {each.path: event_codec(each) for each in events}
    end = _End(jetstream, stream, events)
    while True:
        try:
            info = await jetstream.stream_info(stream.name)
            created, place = _place_in(info, stream, created, place)
            async with _Reader(jetstream, stream, events, place) as reader:
                if not follow:
                    await end.look()
                    if not reader.pending and end.is_before(place):
                        return
                name = reader.config.name
                async with jetstream.gapless_pull(stream.name, name, batch=_AHEAD) as messages:
                    incoming = _Incoming(messages, place, reader.pending, end, follow=follow)
                    async for message in incoming:
                        if message is None:
                            for each in without:
                                yield each
                        else:
                            path = message.subject.split(".", 3)[3]
                            event = yielded(StoredEvent(path, message, codecs[path]))
                            place, created = message.sequence + 1, info.created
                            yield event
                        if not follow and not incoming.pending and end.is_before(place):
                            return
        except StreamMissingError as error:
            raise missing(stream, answer=error) from None
        except (ConsumerMissingError, _SilentConsumerError):
            await asyncio.sleep(_PAUSE)  # the server has restarted, or nobody read for long


def _place_in(
    info: StreamInfo, stream: Stream, created: datetime | None, place: Start
) -> tuple[datetime | None, Start]:
    """Return when the stream that is read was created, and where to go on in it.

    Raises:
        StreamReplacedError: it is not the one that was read before.
    """
    if not continues(info, created, place):
        raise replaced(stream)
    if place == "new":  # also for the consumers after the first one
        place = info.last_sequence + 1
    return created if place == "beginning" else info.created, place


class _SilentConsumerError(Exception):
    """The consumer of a reader does not deliver events that are stored."""


class _End:
    """The last stored event, as the leader of the stream says.

    The consumer of a reader is on any of the servers that keep the stream, and knows only what that
    one has: after a restart, this may be seconds old (nats-server 2.15).

    Args:
        jetstream: the API of the server.
        stream: the stream.
        events: the events.
    """

    def __init__(self, jetstream: JetStream, stream: Stream, events: Sequence[Event[Any]]) -> None:
        self._jetstream = jetstream
        self._stream = stream
        self._events = events
        self._last: StoredMessage | None = None

    async def look(self) -> None:
        """Ask for the last event that is stored now.

        Raises:
            StreamMissingError: the stream does not exist.
            ServiceError: see JetStream.last.
        """
        self._last = await _last_stored(self._jetstream, self._stream, self._events)

    def is_before(self, place: Start) -> bool:
        """Return whether the last event is before a place in the stream.

        Args:
            place: the sequence, or the time; "beginning" comes before all of them.
        """
        if self._last is None:
            return True
        if isinstance(place, int):
            return self._last.sequence < place
        return isinstance(place, datetime) and self._last.time < place


class _Incoming:
    """The messages of a reader; None stands for those that followed, and were removed.

    Args:
        messages: the messages.
        place: where the first one is looked for.
        pending: how many messages there are, as far as the server of the consumer knows.
        end: the last event; it is asked for again when messages are late.
        follow: whether the reader waits for new events.

    Attributes:
        pending: how many messages follow the last one, as far as that server knows.
    """

    def __init__(
        self, messages: GaplessPull, place: Start, pending: int, end: _End, *, follow: bool
    ) -> None:
        self._messages = messages
        self._place: Start = place
        self._end = end
        self._follow = follow
        self._late = 0
        """How often in a row a message was late that is stored."""
        self.pending = pending

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PulledMessage | None:
        """Return the next message, or None.

        Raises:
            _SilentConsumerError: there is one, which does not arrive.
            ServiceError: see Pull.
        """
        while (message := await self._next()) is None:
            if await self._is_over():
                self.pending = 0
                return None
        self._place, self._late, self.pending = message.sequence + 1, 0, message.pending
        return message

    async def _next(self) -> PulledMessage | None:
        """Return the next message; None if it is late, and may never come."""
        if self._messages.has_next:
            return await anext(self._messages)
        is_expected = self.pending or self._late or not self._follow
        try:
            async with asyncio.timeout(_IDLE if is_expected else _QUIET):
                return await anext(self._messages)
        except TimeoutError:
            return None

    async def _is_over(self) -> bool:
        """Return whether messages that were expected are gone."""
        with suppress(ServiceError):  # the messages end with an error, unless it passes
            await self._end.look()
            if self._end.is_before(self._place):
                self._late = 0
                return bool(self.pending) or not self._follow
            self._late += 1
            if self._late == _MAX_LATE:
                raise _SilentConsumerError
        return False


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
    stream, jetstream = stream_of(events), JetStream(transport)
    try:
        last = await _last_stored(jetstream, stream, events)
        if last is None or last.sequence < start:
            return 0
        async with _Reader(jetstream, stream, events, start) as info:
            return max(info.pending, 1)  # the server of the consumer may know less than the leader
    except StreamMissingError:
        raise missing(stream) from None


async def _last_stored(
    jetstream: JetStream, stream: Stream, events: Sequence[Event[Any]]
) -> StoredMessage | None:
    """Return the last of the stored events, by the leader of their stream; None if there is none.

    Raises:
        StreamMissingError: the stream does not exist.
        ServiceError: see JetStream.last.
    """
    found: list[StoredMessage] = []
    for subject in _subjects(stream, events):
        with suppress(NotFoundError):
            found.append(await jetstream.last(stream.name, subject, leader=True))
    return max(found, key=lambda each: each.sequence, default=None)


def _subjects(stream: Stream, events: Iterable[Event[Any]]) -> tuple[str, ...]:
    """Return the subjects of some events in all partitions of their stream."""
    return tuple(stored_event(stream.service, "*", each.path) for each in events)


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
            _subjects(stream, events),
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

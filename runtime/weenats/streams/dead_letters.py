"""Dead letters: events that a consumer could not process, with the reason."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from weenats._internal.timestamps import utc_timestamp
from weenats.errors import (
    FailedPreconditionError,
    MessageTooLargeError,
    NotFoundError,
    PermissionDeniedError,
    connection_error,
)
from weenats.protocol import headers as header_names
from weenats.protocol import subjects
from weenats.streams.store import missing, store
from weenats.transport.jetstream import (
    ConsumerMissingError,
    JetStream,
    JetStreamRefusedError,
    StreamMissingError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from weenats.contract import Stream
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import StoredMessage

__all__ = ["DeadLetter", "DeadLetters", "original_subject"]
_SUBJECT: Final = "Wee-Dead-Subject"
_SEQUENCE: Final = "Wee-Dead-Sequence"
_CONSUMER: Final = "Wee-Dead-Consumer"
_REASON: Final = "Wee-Dead-Reason"
_ERROR: Final = "Wee-Dead-Error"
_ATTEMPTS: Final = "Wee-Dead-Attempts"
_TIME: Final = "Wee-Dead-Time"
_OMITTED: Final = "Wee-Dead-Omitted"
"""The payload and the headers are only in the stream of events: they left no room for these."""
_EVENT: Final = re.compile(r"[^.]+\.[^.]+\.([0-9]{1,9})\..+")
_CONSUMER_NAME: Final = re.compile(r"[a-z][a-z0-9-]*")
_MAX_DIGITS: Final = 18
_MAX_SUBJECT: Final = 1000
_OWN: Final = (b"nats-", b"wee-dead-")
"""Headers that do not belong to the original message."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a consumer could not process.

    Attributes:
        sequence: its sequence in the stream of dead letters, which names it.
        consumer: the consumer.
        subject: the subject of the event in its stream.
        event_sequence: the sequence of the event in its stream.
        reason: the canonical code of the error.
        error: the class of the error.
        attempts: how often it was delivered.
        time: when it was given up, ISO 8601 in UTC.
        stored: when it was stored.
        payload: the payload of the event.
        headers: the headers of the event, encoded as lines.
        is_omitted: whether payload and headers are missing here, because with what is known of the
            dead letter they are larger than a message may be. They are in the stream of events.
    """

    sequence: int
    consumer: str
    subject: str
    event_sequence: int
    reason: str
    error: str
    attempts: int
    time: str
    stored: datetime
    payload: bytes = field(repr=False)
    headers: bytes = field(repr=False)
    is_omitted: bool = False


class DeadLetters:
    """The dead letters of a stream.

    Args:
        transport: the connection.
        stream: the stream of events.
    """

    def __init__(self, transport: Transport, stream: Stream) -> None:
        self._transport = transport
        self._stream = stream
        self._jetstream = JetStream(transport)

    async def add(
        self, message: StoredMessage, consumer: str, *, reason: str, error: str, attempts: int
    ) -> None:
        """Store an event as a dead letter, once however often it is called.

        Args:
            message: the event.
            consumer: the consumer that could not process it.
            reason: the canonical code of the error.
            error: the class of the error.
            attempts: how often the event was delivered.

        Raises:
            StreamMissingError: the stream of dead letters does not exist.
            ServiceError: see `streams.store`.
        """
        lines = header_names.encode(
            {
                _SUBJECT: original_subject(message),
                _SEQUENCE: str(message.sequence),
                _CONSUMER: consumer,
                _REASON: reason,
                _ERROR: error,
                _ATTEMPTS: str(attempts),
                _TIME: utc_timestamp(),
            }
        )
        try:
            await self._store(message, consumer, message.payload, _kept_lines(message) + lines)
        except (MessageTooLargeError, JetStreamRefusedError):
            await self._store(message, consumer, b"", lines + header_names.encode({_OMITTED: "1"}))

    async def list(self, consumer: str = "*") -> AsyncIterator[DeadLetter]:
        """Yield the dead letters, the oldest first.

        Args:
            consumer: only those of this consumer; "*" for all.

        Raises:
            StreamMissingError: the stream of dead letters does not exist.
            ServiceError: see JetStream.read.
        """
        stream = self._stream
        subject = subjects.dead_letter(stream.name, stream.service, consumer)
        try:
            async for message in self._jetstream.read(stream.dead_letters, subject):
                yield _read(message)
        except StreamMissingError:
            raise missing(stream, stream.dead_letters) from None

    async def get(self, sequence: int) -> DeadLetter:
        """Return a dead letter.

        Args:
            sequence: its sequence.

        Raises:
            NotFoundError: there is none.
            StreamMissingError: the stream of dead letters does not exist.
            ServiceError: see JetStream.get.
        """
        try:
            letter = _read(await self._jetstream.get(self._stream.dead_letters, sequence))
        except NotFoundError:
            raise _no_letter(sequence) from None
        except StreamMissingError:
            raise missing(self._stream, self._stream.dead_letters) from None
        with suppress(NotFoundError):  # its stream keeps events for some time only
            letter = await self._complete(letter)
        return letter

    async def retry(self, letter: DeadLetter) -> None:
        """Let the consumer of a dead letter, and no other one, process the event again.

        It takes its place in the stream after all present events.

        Args:
            letter: the dead letter, which is removed.

        Raises:
            FailedPreconditionError: the dead letter does not say of which event and consumer it is,
                or there is no such consumer.
            NotFoundError: it has no payload, and the event is no longer in its stream.
            StreamMissingError: the stream does not exist.
            ServiceError: see `streams.store`.
        """
        stream = self._stream
        event = _EVENT.fullmatch(letter.subject)
        if event is None or not _CONSUMER_NAME.fullmatch(letter.consumer):
            raise connection_error(
                FailedPreconditionError,
                f"dead letter {letter.sequence} does not say of which event and consumer it is",
            )
        name = f"{letter.consumer}-{event[1]}"
        try:
            await self._jetstream.consumer_info(stream.name, name)
        except ConsumerMissingError:
            raise connection_error(
                FailedPreconditionError,
                f"dead letter {letter.sequence} is of the consumer {letter.consumer}, which is"
                f" not there: no consumer {name} of the stream {stream.name} exists",
            ) from None
        letter = await self._complete(letter)
        await store(
            self._transport,
            stream,
            subjects.retry(stream.name, stream.service, event[1], letter.consumer),
            letter.payload,
            letter.headers + header_names.encode({_SUBJECT: letter.subject}),
            # With the time: a stream of dead letters that was made anew numbers them anew.
            message_id=f"{stream.dead_letters}.{letter.sequence}.{letter.stored.timestamp()}",
        )
        with suppress(NotFoundError):  # somebody else retries it too, which stores it once
            await self.drop(letter)

    async def drop(self, letter: DeadLetter) -> None:
        """Remove a dead letter.

        Args:
            letter: the dead letter.

        Raises:
            NotFoundError: it was removed before.
            ServiceError: see JetStream.delete_message.
        """
        try:
            await self._jetstream.delete_message(self._stream.dead_letters, letter.sequence)
        except NotFoundError:
            raise _no_letter(letter.sequence) from None

    async def _store(
        self, message: StoredMessage, consumer: str, payload: bytes, headers: bytes
    ) -> None:
        stream = self._stream
        message_id = f"{stream.name}.{message.sequence}.{consumer}"
        while True:
            ack = await store(
                self._transport,
                stream,
                subjects.dead_letter(stream.name, stream.service, consumer),
                payload,
                headers,
                message_id=message_id,
                stored_by=stream.dead_letters,
            )
            if not ack.duplicate or await self._has(ack.sequence):
                return
            # An operator has removed it since, and the consumer got the event again by a replay.
            message_id = f"{message_id}.{ack.sequence}"

    async def _has(self, sequence: int) -> bool:
        """Return whether there is a dead letter; True if it may not be asked for."""
        try:
            await self._jetstream.get(self._stream.dead_letters, sequence)
        except NotFoundError:
            return False
        except PermissionDeniedError:
            return True
        return True

    async def _complete(self, letter: DeadLetter) -> DeadLetter:
        """Return a dead letter with the payload and the headers of its event.

        Raises:
            NotFoundError: the event is no longer in its stream.
        """
        if not letter.is_omitted:
            return letter
        try:
            event = await self._jetstream.get(self._stream.name, letter.event_sequence)
        except NotFoundError:
            text = f"event {letter.event_sequence} is no longer in the stream {self._stream.name}"
            raise connection_error(NotFoundError, text) from None
        kept = _kept_lines(event)
        return replace(letter, payload=event.payload, headers=kept, is_omitted=False)


def _no_letter(sequence: int) -> NotFoundError:
    return connection_error(NotFoundError, f"there is no dead letter {sequence}")


def original_subject(message: StoredMessage) -> str:
    """Return the subject under which an event was stored first, also if it is retried.

    Args:
        message: a message of a stream of events.
    """
    is_retried = message.subject.split(".", 2)[1] == "retry"
    subject = message.headers.get(_SUBJECT, "") if is_retried else message.subject
    return subject if len(subject) <= _MAX_SUBJECT else ""


def _read(message: StoredMessage) -> DeadLetter:
    headers = message.headers
    return DeadLetter(
        sequence=message.sequence,
        consumer=headers.get(_CONSUMER, ""),
        subject=headers.get(_SUBJECT, ""),
        event_sequence=_number(headers.get(_SEQUENCE, "")),
        reason=headers.get(_REASON, ""),
        error=headers.get(_ERROR, ""),
        attempts=_number(headers.get(_ATTEMPTS, "")),
        time=headers.get(_TIME, ""),
        stored=message.time,
        payload=message.payload,
        headers=_kept_lines(message),
        is_omitted=_OMITTED in headers,
    )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else 0


def _kept_lines(message: StoredMessage) -> bytes:
    """Return the header lines of the original message."""
    lines = message.headers.block.split(b"\r\n")[1:]
    return b"".join(line + b"\r\n" for line in lines if line and not line.lower().startswith(_OWN))

"""Messages of streams: stored ones, delivered ones, and the acknowledgement of a new one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from typing_extensions import override

from weenats.transport.jetstream.api import read
from weenats.transport.jetstream.config import to_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weenats.protocol.headers import Headers
    from weenats.transport.base import Delivery, Transport

__all__ = [
    "ACK_PREFIX",
    "PublishAck",
    "PulledMessage",
    "StoredMessage",
    "publish_ack",
    "stored_message",
]
ACK_PREFIX: Final = "$JS.ACK."
"""The beginning of the reply subject of a message that a consumer delivers."""
_V1_TOKENS: Final = 9
"""The tokens of a reply subject without domain and account."""
_NANOSECONDS: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class PublishAck(NamedTuple):
    """A message was stored.

    Attributes:
        stream: the name of the stream.
        sequence: the sequence of the message; of a duplicate the sequence of the first one.
        duplicate: whether a message of the same id was stored before, and this one was dropped.
    """

    stream: str
    sequence: int
    duplicate: bool


def publish_ack(response: Mapping[str, Any]) -> PublishAck:
    """Return the acknowledgement of a stream.

    Args:
        response: the answer to a message.

    Raises:
        TypeError: it does not come from a stream.
    """
    stream, sequence = response["stream"], response["seq"]
    if not (isinstance(stream, str) and isinstance(sequence, int)):
        raise TypeError
    return PublishAck(stream, sequence, response.get("duplicate", False))


class StoredMessage:
    """A message of a stream.

    Args:
        subject: the subject.
        payload: the payload.
        headers: the headers, also those that the server adds.
        stream: the name of the stream.
        sequence: the sequence in the stream.
        time: when it was stored, as the server says it.

    Attributes:
        subject: the subject.
        headers: the headers, also those that the server adds.
        payload: the payload.
        stream: the name of the stream.
        sequence: the sequence in the stream.
    """

    __slots__ = ("_time", "headers", "payload", "sequence", "stream", "subject")

    def __init__(  # noqa: PLR0913 - the parts of a message
        self,
        subject: str,
        payload: bytes,
        headers: Headers,
        *,
        stream: str,
        sequence: int,
        time: str = "",
    ) -> None:
        self.subject: Final = subject
        self.payload: Final = payload
        self.headers: Final = headers
        self.stream: Final = stream
        self.sequence: Final = sequence
        self._time = time

    @property
    def time(self) -> datetime:
        """When it was stored, in UTC.

        Raises:
            JetStreamUnavailableError: the answer with the message has no valid time.
        """
        return read(to_time, self._time, str(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.sequence} of {self.stream}: {self.subject}>"


def stored_message(delivery: Delivery) -> StoredMessage:
    """Return the message of an answer to a direct request.

    Args:
        delivery: the answer.

    Raises:
        JetStreamUnavailableError: it is not an answer of JetStream.
    """
    return read(_stored_message, delivery, "a stored message")


def _stored_message(delivery: Delivery) -> StoredMessage:
    headers = delivery.headers
    return StoredMessage(
        headers["Nats-Subject"],
        delivery.payload,
        headers,
        stream=headers["Nats-Stream"],
        sequence=int(headers["Nats-Sequence"]),
        time=headers["Nats-Time-Stamp"],
    )


class PulledMessage(StoredMessage):
    """A message that a consumer delivered; it is delivered again until it is settled.

    `ack`, `nak`, `term` and `in_progress` send a message and do not wait. When one is lost, the
    server delivers the message again after `ack_wait`; `ack` and `term` are sent again after the
    connection broke.

    Args:
        transport: the connection.
        delivery: the received message.
        on_settled: called with the reply subject and the answer of `ack` or `term`.

    Attributes:
        delivery: the received message.
        attempt: which delivery of the message this is, from 1.
        consumer_sequence: the number of the delivery, from 1; a gap means that one was lost.
        is_settled: whether `ack`, `nak` or `term` was called.
    """

    __slots__ = (
        "_on_settled",
        "_transport",
        "attempt",
        "consumer_sequence",
        "delivery",
        "is_settled",
    )

    def __init__(
        self, transport: Transport, delivery: Delivery, on_settled: Callable[[str, bytes], None]
    ) -> None:
        stream, _, attempt, sequence, number, time, _ = _parts(delivery.reply)
        super().__init__(
            delivery.subject,
            delivery.payload,
            delivery.headers,
            stream=stream,
            sequence=int(sequence),
            time=time,
        )
        self.delivery: Final = delivery
        self._transport = transport
        self._on_settled = on_settled
        self.attempt: Final = int(attempt)
        self.consumer_sequence: Final = int(number)
        self.is_settled = False

    @property
    def consumer(self) -> str:
        """The name of the consumer."""
        return _parts(self.delivery.reply)[1]

    @property
    def pending(self) -> int:
        """How many messages the consumer had not delivered yet."""
        return int(_parts(self.delivery.reply)[-1])

    @property
    @override
    def time(self) -> datetime:
        """When it was stored, in UTC."""
        return _EPOCH + timedelta(microseconds=int(self._time) // 1000)

    def ack(self) -> None:
        """Report that it was processed."""
        self._settle(b"+ACK")
        self._on_settled(self.delivery.reply, b"+ACK")

    def nak(self, delay: float = 0.0) -> None:
        """Let the server deliver it again.

        Args:
            delay: after how many seconds.
        """
        suffix = b' {"delay": %d}' % round(delay * _NANOSECONDS) if delay > 0 else b""
        self._settle(b"-NAK" + suffix)

    def term(self) -> None:
        """Let the server never deliver it again."""
        self._settle(b"+TERM")
        self._on_settled(self.delivery.reply, b"+TERM")

    def in_progress(self) -> None:
        """Let the server wait for another `ack_wait`."""
        self._transport.publish(self.delivery.reply, b"+WPI")

    def _settle(self, answer: bytes) -> None:
        self.is_settled = True
        self._transport.publish(self.delivery.reply, answer)


def _parts(reply: str) -> list[str]:
    """Return stream, consumer, attempt, two sequences, time and pending of a reply subject."""
    tokens = reply.split(".")
    # With a domain and an account before the stream, and sometimes a random token at the end.
    return tokens[2:] if len(tokens) == _V1_TOKENS else tokens[4:11]

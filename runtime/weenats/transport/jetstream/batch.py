"""Atomic batches: several messages that a stream stores together, or none of them (ADR-50)."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final

from weenats.errors import DeadlineExceededError, NoRespondersError
from weenats.protocol import headers as header_names
from weenats.protocol.identifiers import STAMPER
from weenats.transport.jetstream.api import parse, read, silent
from weenats.transport.jetstream.errors import JetStreamUnavailableError, StreamMissingError
from weenats.transport.jetstream.messages import publish_ack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.transport.base import Transport
    from weenats.transport.jetstream.messages import PublishAck

__all__ = ["MAX_BATCH", "BatchMessage", "publish_batch"]
MAX_BATCH: Final = 1000
"""How many messages a batch may have at most, by the default of the server."""


@dataclass(frozen=True, slots=True)
class BatchMessage:
    """A message of a batch.

    Attributes:
        subject: the subject.
        payload: the payload.
        headers: encoded header lines.
        expected_last_subject_sequence: the sequence of the last message of the subject, 0 if there
            is none; None for any.
    """

    subject: str
    payload: bytes = field(repr=False)
    headers: bytes = field(default=b"", repr=False)
    expected_last_subject_sequence: int | None = None


async def publish_batch(
    transport: Transport, messages: Sequence[BatchMessage], timeout: float
) -> PublishAck:
    """Publish messages that a stream with `allow_atomic` stores together, or not at all.

    When it fails with another error than those below, they may have been stored.

    Args:
        transport: the connection.
        messages: the messages, at least one, at most `MAX_BATCH`, each on a subject of its own.
        timeout: the time limit in seconds.

    Returns:
        The acknowledgement of the last message.

    Raises:
        StreamMissingError: no stream stores the subject, or it has no leader now.
        StreamFullError: the stream is full.
        WrongSequenceError: the last message of a subject is another one.
        JetStreamRefusedError: the stream refuses batches, or this one; a message was lost.
        JetStreamUnavailableError: something else than a stream answers, or nothing in time.
        ServiceError: see Transport.request.
    """
    await transport.connect()
    batch = STAMPER.new_id()
    *first, last = enumerate(messages, 1)
    for number, message in first:
        transport.publish(message.subject, message.payload, _lines(message, batch, number))
    number, message = last
    lines = _lines(message, batch, number) + b"Nats-Batch-Commit: 1\r\n"
    what = f"a batch that ends with {message.subject}"
    try:
        answer = await transport.request(
            message.subject, message.payload, lines, monotonic() + timeout
        )
    except NoRespondersError:
        raise StreamMissingError(
            f"no stream stores {message.subject}: it does not exist, or has no leader now"
        ) from None
    except DeadlineExceededError:
        raise silent(what) from None
    response = parse(answer.payload, what)
    if response.get("count") != len(messages):
        raise JetStreamUnavailableError(f"{what}: the stream does not support atomic batches")
    return read(publish_ack, response, what)


def _lines(message: BatchMessage, batch: str, number: int) -> bytes:
    headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
    if message.expected_last_subject_sequence is not None:
        expected = str(message.expected_last_subject_sequence)
        headers["Nats-Expected-Last-Subject-Sequence"] = expected
    return message.headers + header_names.encode(headers)

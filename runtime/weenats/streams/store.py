"""Storing durable events: it waits for the acknowledgement of the stream."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from weenats.errors import ConnectionLostError, DeadlineExceededError, ServiceError
from weenats.protocol.subjects import matches
from weenats.protocol.timeouts import DEFAULT_TIMEOUT
from weenats.transport.jetstream import (
    JetStream,
    JetStreamMissingError,
    JetStreamUnavailableError,
    MessageInProcessError,
    PublishAck,
    StreamMissingError,
)

if TYPE_CHECKING:
    from weenats.contract import Stream
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import StreamInfo

__all__ = ["info_of", "missing", "store"]
_PAUSE: Final = 0.1
_ATTEMPT: Final = 2.0
"""How long to wait for an answer, in seconds: a stream that gets replicas loses some."""


async def store(  # noqa: PLR0913 - the parts of a message
    transport: Transport,
    stream: Stream,
    subject: str,
    payload: bytes,
    headers: bytes,
    *,
    message_id: str,
    stored_by: str = "",
    timeout: float = DEFAULT_TIMEOUT,
) -> PublishAck:
    """Publish a message to a stream and wait until it is stored.

    When the connection breaks, or the stream has no leader or does not acknowledge it for two
    seconds, it is sent again: the stream stores a message id once.

    Args:
        transport: the connection.
        stream: the stream.
        subject: the subject.
        payload: the payload.
        headers: encoded header lines.
        message_id: the id of the message.
        stored_by: the name of the stream that stores it, by default that of the stream.
        timeout: the time limit in seconds.

    Raises:
        StreamMissingError: the stream does not exist, or does not store the subject.
        JetStreamUnavailableError: the stream has no leader, or the server no JetStream.
        StreamFullError: the stream has reached a limit.
        WrongStreamError: another stream stores the subject.
        DeadlineExceededError: it was not acknowledged in time; whether it is stored is unknown.
        ServiceError: see Transport.request.
    """
    end = monotonic() + timeout
    jetstream = JetStream(transport, timeout)
    name = stored_by or stream.name
    while True:
        try:
            return await jetstream.publish(
                subject,
                payload,
                headers,
                message_id=message_id,
                stream=name,
                timeout=min(end - monotonic(), _ATTEMPT),
            )
        except (ConnectionLostError, DeadlineExceededError, MessageInProcessError) as error:
            problem: ServiceError = error
        except StreamMissingError:
            problem = await _why_not_stored(transport, stream, name, subject, end)
        if monotonic() + _PAUSE >= end:
            raise problem
        await asyncio.sleep(_PAUSE)


async def _why_not_stored(
    transport: Transport, stream: Stream, name: str, subject: str, end: float
) -> ServiceError:
    """Return why nothing stores a message now, although that may change within a moment.

    Raises:
        StreamMissingError: the stream does not exist, or does not store the subject.
        JetStreamMissingError: the server has no JetStream.
    """
    patience = max(min(end - monotonic(), _ATTEMPT), _PAUSE)
    try:
        info = await JetStream(transport, patience).stream_info(name)
    except StreamMissingError:
        raise missing(stream, name) from None
    except JetStreamMissingError:
        raise
    except ServiceError as error:
        return error
    tokens = subject.split(".")
    if not any(matches(each.split("."), tokens) for each in info.config.subjects):
        raise missing(stream, name)
    # It may have one behind a broken route.
    return JetStreamUnavailableError(f"the stream {name} has no leader now that can be reached")


async def info_of(transport: Transport, stream: Stream) -> StreamInfo:
    """Return what the server knows of a stream.

    Args:
        transport: the connection.
        stream: the stream.

    Raises:
        StreamMissingError: it does not exist.
        ServiceError: see JetStream.stream_info.
    """
    try:
        return await JetStream(transport).stream_info(stream.name)
    except StreamMissingError:
        raise missing(stream) from None


def missing(
    stream: Stream, name: str = "", answer: StreamMissingError | None = None
) -> StreamMissingError:
    """Return the error for a stream that does not exist, which says how to create it.

    Args:
        stream: the stream.
        name: the name of the stream that is missing, by default that of the stream.
        answer: what the server says; in memory, that no stream keeps events.
    """
    why = "" if answer is None else f" ({answer.message})"
    return StreamMissingError(
        f"the stream {name or stream.name}, which keeps events of {stream.service}, does not exist"
        " or does not take this one: run `weenats streams apply CONTRACT`, or build the service"
        f' with_streams("apply"){why}'
    )

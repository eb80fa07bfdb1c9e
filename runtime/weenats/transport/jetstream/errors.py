"""The errors of JetStream, and the one for each error of its API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from weenats.errors import (
    AbortedError,
    AlreadyExistsError,
    FailedPreconditionError,
    MessageTooLargeError,
    NotFoundError,
    ServiceError,
    UnavailableError,
    connection_error,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ConsumerMissingError",
    "JetStreamMissingError",
    "JetStreamRefusedError",
    "JetStreamUnavailableError",
    "MessageInProcessError",
    "StreamFullError",
    "StreamMissingError",
    "StreamReplacedError",
    "WrongSequenceError",
    "WrongStreamError",
    "api_error",
]
_UNAVAILABLE: Final = 503
_NUMBER: Final = re.compile(r"\d+")


class JetStreamUnavailableError(UnavailableError):
    """JetStream does not answer: it is not enabled, or has no leader now."""

    of_connection = True
    description = (
        "JetStream is not available: it is not enabled for this connection, or has no leader now"
    )


class MessageInProcessError(JetStreamUnavailableError):
    """A message with the same id is being stored; whether that succeeds is not known yet."""

    description = "a message with the same id is being stored"


class JetStreamMissingError(JetStreamUnavailableError):
    """The server has no JetStream, or not for the account of the connection."""

    description = (
        "JetStream is not enabled on the server of this connection, or not for its account"
    )


class StreamMissingError(UnavailableError):
    """There is no stream of this name, or none that stores the subject."""

    of_connection = True
    description = "the stream does not exist"


class StreamReplacedError(FailedPreconditionError):
    """The stream is not the one that was read before: it was made anew, or has lost messages."""

    of_connection = True
    description = "the stream was deleted and made anew, or has lost messages"


class StreamFullError(UnavailableError):
    """The stream, its account or its server has reached a limit; no message is stored."""

    of_connection = True
    description = "the stream is full, or its account or server has no storage left"


class ConsumerMissingError(UnavailableError):
    """There is no consumer of this name."""

    of_connection = True
    description = "the consumer does not exist"


class WrongStreamError(FailedPreconditionError):
    """The message was stored by no stream: the subject belongs to another one than expected."""

    of_connection = True
    description = "another stream than the expected one stores the subject"


class WrongSequenceError(AbortedError):
    """The last message is another one than expected: somebody else published meanwhile.

    Args:
        message: the description.
        last: the sequence of the last message; None when the server does not say it.

    Attributes:
        last: the sequence of the last message; None when the server does not say it.
    """

    of_connection = True
    description = "the last message of the stream or subject is another one than expected"

    def __init__(self, message: str | None = None, *, last: int | None = None) -> None:
        super().__init__(message)
        self.last = last


class JetStreamRefusedError(FailedPreconditionError):
    """The server refuses a request to JetStream, for example a setting that it cannot change.

    Args:
        message: the description.
        error_code: the number of the error in the API of JetStream.

    Attributes:
        error_code: the number of the error in the API of JetStream.
    """

    of_connection = True

    def __init__(self, message: str | None = None, *, error_code: int = 0) -> None:
        super().__init__(message)
        self.error_code = error_code


_CLASSES: Final[Mapping[int, type[ServiceError]]] = {
    10002: StreamFullError,
    10013: AlreadyExistsError,
    10014: ConsumerMissingError,
    10023: StreamFullError,  # the server has no storage left
    10037: NotFoundError,
    10043: NotFoundError,
    10054: MessageTooLargeError,
    10058: AlreadyExistsError,
    10059: StreamMissingError,
    10060: WrongStreamError,
    10077: StreamFullError,
    10118: JetStreamUnavailableError,  # the servers that have the stream are away
    10119: JetStreamUnavailableError,  # the same of a consumer
    10148: AlreadyExistsError,
    10158: MessageInProcessError,
    10149: ConsumerMissingError,
}
_DELETE_FAILED: Final = 10057
_WRONG_SEQUENCE: Final = frozenset({10071, 10164})


def api_error(error: Mapping[str, Any], what: str) -> ServiceError:
    """Return the exception for an error of the API of JetStream.

    Args:
        error: the member `error` of a response.
        what: what was asked for, which the message names.
    """
    number: object = error.get("err_code", 0)
    number = number if isinstance(number, int) else 0
    description = str(error.get("description", "unknown error"))
    text = f"{what}: {description}"
    if number in _WRONG_SEQUENCE:
        found = _NUMBER.search(description)
        return WrongSequenceError(text, last=None if found is None else int(found[0]))
    if number == _DELETE_FAILED and "no message found" in description:
        return connection_error(NotFoundError, text)
    if (kind := _CLASSES.get(number)) is not None:
        return connection_error(kind, text)
    if error.get("code") == _UNAVAILABLE:
        return JetStreamUnavailableError(text)
    return JetStreamRefusedError(text, error_code=number)

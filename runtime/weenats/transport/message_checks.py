"""Checks of what is written to the protocol of NATS: messages and subscriptions."""

from __future__ import annotations

import re
from typing import Final

from weenats.errors import InvalidArgumentError, MessageTooLargeError, connection_error
from weenats.protocol.headers import HEADER_FRAMING
from weenats.protocol.subjects import encode_subject

__all__ = [
    "DEFAULT_MAX_CONTROL_LINE",
    "MAX_SIZE",
    "check_control_line",
    "check_message",
    "check_reply",
    "check_subscription",
]
DEFAULT_MAX_CONTROL_LINE: Final = 4096
"""The default of `max_control_line` of nats-servers, which they do not announce."""
MAX_SIZE: Final = 2**31 - 1
"""The maximum size of a message in bytes, whatever a server permits."""
_SID_ROOM: Final = 22
"""The most bytes that the number of a subscription and two spaces take in a line."""
_SEPARATOR: Final = re.compile(r"\s", re.ASCII)
_MAX_SHOWN: Final = 100


def check_message(subject: str, payload: bytes, headers: bytes, limit: int) -> None:
    """Check a message before it is written to the protocol, wherever its parts come from.

    Reply subjects and subjects of discovery come from other parties. White space in them would end
    the protocol line, and what follows would be the next command of this connection.

    Args:
        subject: the subject.
        payload: the payload.
        headers: encoded header lines.
        limit: the maximum size in bytes: NATS closes the connection of a message that is larger.

    Raises:
        InvalidArgumentError: the subject or the header lines are malformed.
        MessageTooLargeError: the message is too large.
    """
    # `split` is the quickest test; it also finds white space that NATS allows.
    if subject.split() != [subject] or not subject.isascii():
        _check_token(subject, "subject")
    size = len(payload)
    if headers:
        if headers[-2:] != b"\r\n":
            raise connection_error(
                InvalidArgumentError,
                f"the headers of the message to {_shown(subject)} are not lines that end with"
                " CR LF",
            )
        size += len(headers) + HEADER_FRAMING
    if size > limit:
        raise connection_error(
            MessageTooLargeError,
            f"the message to {subject} has {size} bytes, the NATS server carries at most {limit}",
        )


def check_reply(reply: str) -> None:
    """Check a reply subject that is not one of this connection's own inbox.

    Args:
        reply: the reply subject.

    Raises:
        InvalidArgumentError: it is malformed.
    """
    _check_token(reply, "reply subject")


def check_control_line(line: bytes, subject: str, limit: int) -> None:
    """Check the length of the protocol line of a message before it is written.

    NATS closes the connection of a line that is longer, for all who use it.

    Args:
        line: the command, the subject and what follows them, up to the end of the line or longer.
        subject: the subject of the message.
        limit: the maximum length in bytes, without the command, as NATS counts.

    Raises:
        InvalidArgumentError: the line is too long.
    """
    size = line.index(b"\r\n") - line.index(b" ") - 1
    if size > limit:
        raise _too_long("message to", subject, size, limit)


def check_subscription(subject: str, queue_group: str, limit: int) -> None:
    """Check a subscription before it is written to the protocol.

    Args:
        subject: the subject, which may have wildcards.
        queue_group: the queue group, "" for none.
        limit: the maximum length of its protocol line in bytes, see `check_control_line`.

    Raises:
        InvalidArgumentError: one of them is malformed, or they are too long.
    """
    _check_token(subject, "subject")
    if queue_group:
        _check_token(queue_group, "queue group")
    size = len(encode_subject(subject)) + len(encode_subject(queue_group)) + _SID_ROOM
    if size > limit:
        raise _too_long("subscription to", subject, size, limit)


def _too_long(what: str, subject: str, size: int, limit: int) -> InvalidArgumentError:
    return connection_error(
        InvalidArgumentError,
        f"the protocol line of the {what} {_shown(subject)} has {size} bytes, the NATS server"
        f" takes at most {limit} (max_control_line)",
    )


def _check_token(text: str, what: str) -> None:
    """Check that a text is one token of a protocol line."""
    if not text or _SEPARATOR.search(text) is not None:
        raise connection_error(
            InvalidArgumentError, f"{_shown(text)} is not a valid {what}: it has white space"
        )
    try:
        encode_subject(text)
    except UnicodeEncodeError:
        raise connection_error(
            InvalidArgumentError, f"{_shown(text)} is not a valid {what}: it is not valid Unicode"
        ) from None


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...")

"""Checks of what is written to the protocol of NATS: messages and subscriptions."""

from __future__ import annotations

import re
from typing import Final

from weenats.errors import InvalidArgumentError, MessageTooLargeError, connection_error
from weenats.protocol.headers import HEADER_FRAMING
from weenats.protocol.subjects import encode_subject

__all__ = ["check_message", "check_reply", "check_subscription"]
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
                InvalidArgumentError(
                    f"the headers of the message to {_shown(subject)} are not lines that end with"
                    " CR LF"
                )
            )
        size += len(headers) + HEADER_FRAMING
    if size > limit:
        raise connection_error(
            MessageTooLargeError(
                f"the message to {subject} has {size} bytes, the NATS server carries at most"
                f" {limit}"
            )
        )


def check_reply(reply: str) -> None:
    """Check a reply subject that is not one of this connection's own inbox.

    Args:
        reply: the reply subject.

    Raises:
        InvalidArgumentError: it is malformed.
    """
    _check_token(reply, "reply subject")


def check_subscription(subject: str, queue_group: str) -> None:
    """Check a subscription before it is written to the protocol.

    Args:
        subject: the subject, which may have wildcards.
        queue_group: the queue group, "" for none.

    Raises:
        InvalidArgumentError: one of them is malformed.
    """
    _check_token(subject, "subject")
    if queue_group:
        _check_token(queue_group, "queue group")


def _check_token(text: str, what: str) -> None:
    """Check that a text is one token of a protocol line."""
    if not text or _SEPARATOR.search(text) is not None:
        raise connection_error(
            InvalidArgumentError(f"{_shown(text)} is not a valid {what}: it has white space")
        )
    try:
        encode_subject(text)
    except UnicodeEncodeError:
        raise connection_error(
            InvalidArgumentError(f"{_shown(text)} is not a valid {what}: it is not valid Unicode")
        ) from None


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...")

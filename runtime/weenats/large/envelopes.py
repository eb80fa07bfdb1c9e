"""Messages without their payload or result, which a header refers to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats.errors import MessageTooLargeError

if TYPE_CHECKING:
    from weenats.contract import AnyOperation

__all__ = ["ROOM", "check_size", "restored", "without"]
ROOM: Final = 8 * 1024
"""Bytes that a message has left for headers; what is larger than the rest is left out."""
_NULL: Final = b"null"


def without(body: bytes, place: slice) -> tuple[bytes, bytes]:
    """Return a message with null in place of a part, and the part.

    Args:
        body: the message.
        place: where the part is.
    """
    return body[: place.start] + _NULL + body[place.stop :], body[place]


def restored(body: bytes, member: str, part: bytes) -> bytes:
    """Return a message with the part that was left out.

    Args:
        body: the message.
        member: the member that is null.
        part: the part.

    Raises:
        ValueError: the member is not null.
    """
    head = b'"%b":' % member.encode()
    start = body.index(head + _NULL) + len(head)
    return body[:start] + part + body[start + len(_NULL) :]


def check_size(what: str, operation: AnyOperation, size: int) -> None:
    """Check that a payload or a result is not larger than its contract allows.

    Args:
        what: "payload" or "result".
        operation: the operation.
        size: its size in bytes.

    Raises:
        MessageTooLargeError: it is larger.
    """
    if size > (operation.large or 0):
        raise MessageTooLargeError(
            f"the {what} of {operation.name} has {size} bytes, its contract allows"
            f" {operation.large}"
        )

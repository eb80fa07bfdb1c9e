"""Parsing of what a server sends."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import nats.errors
from nats.protocol.parser import Parser

from weenats.protocol.subjects import decode_subject
from weenats.transport.message_checks import MAX_SIZE

if TYPE_CHECKING:
    from nats.aio.client import Client

__all__ = ["Deny", "Dispatch", "MessageParser"]
Dispatch = Callable[[int, bytes, bytes, bytes, bytes], None]
"""Called with the number of the subscription, subject, reply subject, payload and header block."""
Deny = Callable[[str, str], None]
"""Called with "publish" or "subscription", and the subject that the server denied."""

_H: Final = ord("H")
_MINUS: Final = ord("-")
_WITH_REPLY: Final = len(("MSG", "subject", "sid", "reply", "size"))
_MAX_LINE: Final = 1024 * 1024
"""The maximum length of a line in bytes; the longest are lists of servers."""
_DENIED: Final = re.compile(
    rb"-ERR 'Permissions Violation for (Publish|Subscription)(?: with Reply of| to) \"([^\"]*)\"",
    re.IGNORECASE,
)


class MessageParser(Parser):
    """Parses messages; control lines go to the parser of nats-py, one at a time.

    Args:
        client: the connection.
        dispatch: called with each message.
        deny: called when the server denies a subject.
    """

    def __init__(self, client: Client, dispatch: Dispatch, deny: Deny) -> None:
        self._dispatch = dispatch
        self._deny = deny
        self._rest = bytearray()
        self._needed = 0
        super().__init__(client)  # pyright: ignore[reportUnknownMemberType]

    def reset(self) -> None:
        """Discard incomplete data of a broken connection."""
        super().reset()
        self._rest = bytearray()
        self._needed = 0

    async def parse(self, data: bytes = b"") -> None:  # noqa: C901 - no call a message
        """Dispatch complete messages, and keep the rest.

        Args:
            data: what was received.

        Raises:
            ProtocolError: a message is malformed.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
        rest = self._rest = bytearray()
        self._needed = position = 0
        length, dispatch = len(data), self._dispatch
        while (line_end := data.find(b"\r\n", position)) >= 0:
            first = data[position]
            if first in b"MH":
                # Here and not in a method: all messages of a connection take this way.
                try:
                    parts = data[position:line_end].split(b" ")
                    start = line_end + 2
                    end = start + int(parts[-1])
                    if length < end + 2:
                        if end - start > MAX_SIZE:  # it would never be complete
                            raise nats.errors.ProtocolError
                        self._needed = end + 2 - position
                        break
                    body = start + int(parts.pop(-2)) if first == _H else start
                    if not start <= body <= end:  # a negative size would lead back, for ever
                        raise nats.errors.ProtocolError
                    reply = parts[3] if len(parts) == _WITH_REPLY else b""
                    dispatch(int(parts[2]), parts[1], reply, data[body:end], data[start:body])
                except (ValueError, IndexError):
                    # The one error after which nats-py reconnects; others would end its read loop.
                    raise nats.errors.ProtocolError from None
                position = end + 2
            else:
                line = data[position : line_end + 2]
                position = line_end + 2
                if first == _MINUS and (denied := _DENIED.match(line)) is not None:
                    # nats-py reports the subject in lower case.
                    self._deny(denied[1].decode().lower(), decode_subject(denied[2]))
                    continue
                await self._parse_line(line)
                if self._rest is not rest:
                    return  # the connection was reset: the rest belongs to the old one
        rest += data[position:]
        if len(rest) > _MAX_LINE and not self._needed:
            raise nats.errors.ProtocolError  # each piece would be searched with all before it

    async def _parse_line(self, line: bytes) -> None:
        try:
            await super().parse(line)
        except (ValueError, RecursionError):  # an INFO that is not JSON, or is nested too deeply
            raise nats.errors.ProtocolError from None
        if (
            self.buf
        ):  # nats-py takes a long line that it does not know for the start of a longer one
            raise nats.errors.ProtocolError

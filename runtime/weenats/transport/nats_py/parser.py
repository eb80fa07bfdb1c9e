"""From the bytes of a connection to messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import nats.errors
from nats.protocol.parser import Parser

if TYPE_CHECKING:
    from nats.aio.client import Client

Dispatch = Callable[[int, bytes, bytes, bytes, bytes], None]
"""Gets the subscription's number, subject, reply subject, payload and header block."""
Refuse = Callable[[str, str], None]
"""Gets "publish" or "subscription", and the subject that the server refused."""

_M: Final = ord("M")
_H: Final = ord("H")
_MINUS: Final = ord("-")
_REFUSED: Final = re.compile(
    rb"-ERR 'Permissions Violation for (Publish|Subscription)(?: with Reply of| to) \"([^\"]*)\"",
    re.IGNORECASE,
)


class MessageParser(Parser):
    """Takes messages out of the stream by itself.

    Control lines go to nats-py's parser, each as a whole.
    """

    def __init__(self, client: Client, dispatch: Dispatch, refuse: Refuse) -> None:
        self._dispatch = dispatch
        self._refuse = refuse
        self._rest = bytearray()
        self._needed = 0
        super().__init__(client)  # pyright: ignore[reportUnknownMemberType]

    def reset(self) -> None:
        """Forget what was read of a connection that broke."""
        super().reset()
        self._rest = bytearray()
        self._needed = 0

    async def parse(self, data: bytes = b"") -> None:
        """Dispatch what is complete, and keep the rest."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
        rest = self._rest = bytearray()
        self._needed = position = 0
        while (line_end := data.find(b"\r\n", position)) >= 0:
            first = data[position]
            if first in (_M, _H):
                try:
                    after = self._take_message(data, position, line_end, has_headers=first == _H)
                except (ValueError, IndexError):
                    # The one error that makes nats-py connect anew; any other would leave it deaf.
                    raise nats.errors.ProtocolError from None
                if not after:
                    break
                position = after
            else:
                line = data[position : line_end + 2]
                position = line_end + 2
                if first == _MINUS and (refused := _REFUSED.match(line)) is not None:
                    # nats-py would tell of it in lower case, and subjects are none.
                    self._refuse(refused[1].decode().lower(), refused[2].decode())
                    continue
                await super().parse(line)
                if self._rest is not rest:
                    return  # the connection was reset: what is left belongs to the old one
        rest += data[position:]

    def _take_message(self, data: bytes, position: int, line_end: int, *, has_headers: bool) -> int:
        """Dispatch the message that starts here; return its end, or 0 when it is not complete."""
        parts = data[position:line_end].split(b" ")
        start = line_end + 2
        end = start + int(parts[-1])
        if len(data) < end + 2:
            self._needed = end + 2 - position
            return 0
        sizes = 1 + has_headers
        reply = parts[3] if len(parts) - sizes == 4 else b""  # noqa: PLR2004 - op, subject, sid, reply
        body = start + int(parts[-2]) if has_headers else start
        self._dispatch(int(parts[2]), parts[1], reply, data[body:end], data[start:body])
        return end + 2

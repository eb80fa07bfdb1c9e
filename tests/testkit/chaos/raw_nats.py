"""A connection to a nats-server that sends any bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Self

from testkit.chaos.frames import Frame

_PONG: Final = b"PONG\r\n"
OnMessage = Callable[[str, str, bytes], None]
"""Takes subject, reply subject and payload."""


class RawNats:
    """Speaks the protocol without a client library, which would check what is sent.

    Args:
        port: of the server.
        user: with this password too.
    """

    def __init__(self, port: int, user: str = "stranger") -> None:
        self._port = port
        self._user = user
        self._pongs: asyncio.Queue[None] = asyncio.Queue()
        self.on_message: OnMessage = lambda _subject, _reply, _payload: None
        self.errors: list[str] = []

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        options = '{"verbose":false,"headers":true,"no_responders":true,"name":"stranger",'
        options += f'"user":"{self._user}","pass":"{self._user}"}}'
        self._writer.write(f"CONNECT {options}\r\n".encode())
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await self._reading
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def listen(self, subject: str) -> None:
        """Subscribe to a subject with `on_message`."""
        self._writer.write(f"SUB {subject} 1\r\n".encode())

    async def send(self, *frames: Frame) -> None:
        """Send frames, and return when the server has processed them.

        Raises:
            ConnectionError: it ended the connection.
        """
        self._writer.write(b"".join(frame.encode() for frame in frames) + b"PING\r\n")
        await self._writer.drain()
        pong = asyncio.create_task(self._pongs.get())
        await asyncio.wait([pong, self._reading], return_when=asyncio.FIRST_COMPLETED)
        if not pong.done():
            pong.cancel()
            raise ConnectionResetError(f"the server closed the connection: {self.errors}")

    async def _read(self) -> None:
        while line := await self._reader.readline():
            operation, *words = line.split()
            if operation in {b"MSG", b"HMSG"}:
                body = await self._reader.readexactly(int(words[-1]) + 2)
                sizes = 1 + (operation == b"HMSG")
                start = int(words[-2]) if operation == b"HMSG" else 0
                reply = words[2].decode() if len(words) > 2 + sizes else ""
                self.on_message(words[0].decode(), reply, body[start:-2])
            elif operation == b"PING":
                self._writer.write(_PONG)
            elif operation == b"PONG":
                self._pongs.put_nowait(None)
            elif operation == b"-ERR":
                self.errors.append(line.decode().strip())

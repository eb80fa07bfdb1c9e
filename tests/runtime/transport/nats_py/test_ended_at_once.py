"""Servers that end each connection at once."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import struct
from contextlib import suppress

import pytest

from testkit.waiting import eventually
from weenats import ConnectionOptions, NatsTransport, ServiceError

INFO = {"server_id": "x", "version": "2.12.0", "max_payload": 1_048_576, "headers": True}


@pytest.mark.slow
async def test_connections_that_end_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Asyncio logs nothing of them, however often they are opened and used."""
    ended = 0

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ended
        writer.write(b"INFO %b\r\n" % json.dumps(INFO).encode())
        with suppress(OSError, EOFError):
            await reader.readuntil(b"PING\r\n")
            writer.write(b"PONG\r\n")
            await writer.drain()
        peer: socket.socket = writer.get_extra_info("socket")
        with suppress(OSError):  # the client was first
            linger = struct.pack("ii", 1, 0)  # RST, no FIN
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        ended += 1

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = NatsTransport(
        f"nats://127.0.0.1:{port}", ConnectionOptions(reconnect_wait=0.001, close_timeout=0.1)
    )
    with suppress(ServiceError):
        await transport.connect()

    def used() -> bool:
        with suppress(ServiceError):
            transport.publish("a.b", b"x")
        return ended >= 30

    await eventually(used)
    await transport.close()
    server.close()
    gc.collect()
    assert not [each for each in caplog.records if each.name == "asyncio"]

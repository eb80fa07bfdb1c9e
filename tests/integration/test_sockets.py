"""Sockets are closed when a server hangs up before it sends INFO."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import Any

import pytest

from testkit.transports import FAST
from testkit.waiting import LIMIT, until
from weenats import ConnectionOptions, NatsTransport
from weenats.errors import UnavailableError
from weenats.testing import NatsServer
from weenats.transport.nats_py.sockets import GreetedTcp


class HangingUpServer:
    """A server that closes every connection immediately."""

    def __init__(self) -> None:
        self.visits = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hang up."""
        del reader
        self.visits += 1
        writer.close()


async def test_failed_connects_close_their_sockets() -> None:
    """Connecting to a port that hangs up is UNAVAILABLE and leaves no socket open."""
    mute = HangingUpServer()
    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        timeout = 0.1
        while mute.visits < 2:
            options = ConnectionOptions(connect_timeout=timeout, reconnect_wait=0.02)
            transport = NatsTransport(f"nats://127.0.0.1:{port}", options)
            mute.visits = 0
            with pytest.raises(UnavailableError):
                await transport.connect()
            await transport.close()
            timeout *= 2
    gc.collect()  # what was left open would say so here


async def test_failed_reconnects_close_their_sockets(own_nats_server: NatsServer) -> None:
    """Reconnecting to a port that hangs up, such as a proxy, leaves no socket open."""
    transport = NatsTransport(own_nats_server.url, FAST)
    await transport.connect()
    port = int(own_nats_server.url.rpartition(":")[2])
    own_nats_server.kill()
    mute = HangingUpServer()
    server = await asyncio.start_server(mute, "127.0.0.1", port)
    async with server:
        await until(lambda: mute.visits > 3)
    await transport.close()
    gc.collect()


async def test_whoever_is_cancelled_while_a_socket_closes_is_alone(nats_url: str) -> None:
    """A cancelled task does not cancel others that wait for the end of the same socket."""
    port = int(nats_url.rpartition(":")[2])
    socket = GreetedTcp()
    await socket.open("127.0.0.1", port, None, "", LIMIT)
    first = asyncio.create_task(socket.wait_closed())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    socket.close()
    await asyncio.wait_for(socket.wait_closed(), LIMIT)


def test_a_reset_that_nobody_waits_for_is_not_logged(
    nats_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that ends a connection at once resets it, perhaps while it is being closed."""

    async def close() -> None:
        socket = GreetedTcp()
        await socket.open("127.0.0.1", int(nats_url.rpartition(":")[2]), None, "", LIMIT)
        waiting = asyncio.create_task(socket.wait_closed())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        writer: Any = socket._io_writer
        writer.transport._fatal_error(ConnectionResetError())
        with suppress(ConnectionResetError):
            await asyncio.wait_for(socket.wait_closed(), LIMIT)

    asyncio.run(close())
    gc.collect()
    assert not caplog.records

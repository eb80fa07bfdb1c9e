"""A peer that is gone without a word, while much is left to be sent to it."""

from __future__ import annotations

import asyncio

import pytest

from testkit.tcp_proxy import TcpProxy
from testkit.transports import reconnected, soon
from testkit.waiting import LIMIT
from weenats import ConnectionLostError, ConnectionOptions, NatsTransport
from weenats.testing import NatsServer
from weenats.transport.nats_py import connection

MORE_THAN_SOCKETS_HOLD = 40
PIECE = b"x" * 900_000


async def stalled(link: TcpProxy, options: ConnectionOptions) -> NatsTransport:
    """Connect through a link, and send more than it takes when it takes nothing any more."""
    transport = NatsTransport(f"nats://127.0.0.1:{link.port}", options)
    await transport.connect()
    link.stall()
    for _ in range(MORE_THAN_SOCKETS_HOLD):
        transport.publish("big", PIECE)
    return transport


async def test_it_connects_anew(nats_server: NatsServer) -> None:
    """A peer that takes nothing and misses pings is left, with what it did not take."""
    async with TcpProxy(nats_server.port) as link:
        options = ConnectionOptions(reconnect_wait=0.02, ping_interval=0.05)
        transport = await stalled(link, options)
        call = asyncio.create_task(transport.request("nobody", b"", b"", soon()))
        with pytest.raises(ConnectionLostError):
            await asyncio.wait_for(call, LIMIT)
        link.cut()
        await reconnected(transport)
        async with asyncio.timeout(LIMIT):
            await transport.close()


async def test_its_end_is_not_waited_for(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is closed in bounded time, whatever its peer has not taken."""
    monkeypatch.setattr(connection, "_FENCE_TIMEOUT", 0.05)
    monkeypatch.setattr(connection, "_CLOSE_TIMEOUT", 0.05)
    async with TcpProxy(nats_server.port) as link:
        transport = await stalled(link, ConnectionOptions())
        await asyncio.wait_for(transport.close(), LIMIT)

"""The TCP proxy of the chaos tests: forward, delay, stall, cut and refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from testkit.tcp_proxy import TcpProxy
from testkit.waiting import LIMIT


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1000):
        writer.write(piece)
    writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    """A proxy in front of an echo server."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with server, TcpProxy(server.sockets[0].getsockname()[1], seed=1) as proxy:
        yield proxy


class Peer:
    """A connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def of(cls, proxy: TcpProxy) -> Peer:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    async def echo(self, text: bytes) -> bytes:
        """Send and return what comes back; b"" when the connection ends."""
        self.writer.write(text)
        try:
            return await asyncio.wait_for(self.reader.readexactly(len(text)), LIMIT)
        except (OSError, asyncio.IncompleteReadError):
            return b""
        finally:
            if self.reader.at_eof():
                self.writer.close()

    def close(self) -> None:
        """Close the connection."""
        self.writer.close()


async def test_proxy_forwards(proxy: TcpProxy) -> None:
    """Data arrives in both directions and in order, with and without a delay."""
    peer = await Peer.of(proxy)
    assert await peer.echo(b"a" * 300_000) == b"a" * 300_000
    proxy.delay(0.01)
    assert await peer.echo(bytes(range(256))) == bytes(range(256))
    peer.close()


async def test_stall_holds_data_until_healed(proxy: TcpProxy) -> None:
    """Nothing passes during a stall, and nothing is lost after it."""
    peer = await Peer.of(proxy)
    assert await peer.echo(b"a") == b"a"
    proxy.stall()
    echo = asyncio.create_task(peer.echo(b"held"))
    other = await Peer.of(proxy)  # connections are still taken
    assert not echo.done()
    proxy.heal()
    assert await echo == b"held"
    assert await other.echo(b"b") == b"b"
    peer.close()
    other.close()


async def test_cut_ends_connections(proxy: TcpProxy) -> None:
    """Open connections end; new ones are accepted."""
    peer = await Peer.of(proxy)
    assert await peer.echo(b"a") == b"a"
    proxy.cut()
    assert await peer.echo(b"b" * 1000) == b""
    again = await Peer.of(proxy)
    assert await again.echo(b"c") == b"c"
    for each in (peer, again):
        each.close()


async def test_refuse_rejects_connections_until_healed(proxy: TcpProxy) -> None:
    """Open connections end, and new ones are rejected until the proxy is healed."""
    peer = await Peer.of(proxy)
    assert await peer.echo(b"a") == b"a"
    proxy.refuse()
    refused = await Peer.of(proxy)
    assert [await each.echo(b"b") for each in (peer, refused)] == [b"", b""]
    proxy.heal()
    again = await Peer.of(proxy)
    assert await again.echo(b"c") == b"c"
    for each in (peer, refused, again):
        each.close()

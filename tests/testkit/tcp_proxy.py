"""A TCP proxy on the loopback that stands for the network: it delays, stalls, cuts and refuses."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from typing import Final, Self

_CHUNK: Final = 65_536
_SOON: Final = 0.05


class TcpProxy:
    """Forwards connections to a port of the loopback, as well as its network lets it.

    Args:
        target: the port that it leads to; nobody has to listen there yet.
        seed: what chances are drawn from: how long each piece is delayed, where a cut falls.
        tls: the context of connections to it; None: they are not encrypted.
        distance: the seconds until a new connection carries anything.
    """

    def __init__(
        self,
        target: int,
        *,
        seed: int = 0,
        tls: ssl.SSLContext | None = None,
        distance: float = 0.0,
    ) -> None:
        self._target = target
        self._distance = distance
        self._tls = tls
        self._random = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._tunnels: set[_Tunnel] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._longest_delay = 0.0
        self._refuses = False
        self.port = 0

    @property
    def connections(self) -> int:
        """How many connections lead through it."""
        return len(self._tunnels)

    async def start(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Listen no more, and end all connections."""
        if self._server is not None:
            self._server.close()
        while self._tunnels:
            for tunnel in self._tunnels:
                tunnel.abort()
            self._flowing.set()
            await asyncio.sleep(0)
        if self._server is not None:
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def delay(self, seconds: float) -> None:
        """Hold each piece back for up to so long; the order stays."""
        self._longest_delay = seconds

    def stall(self) -> None:
        """Carry nothing, in either direction; connections stay open, as behind a lost route."""
        self._flowing.clear()

    def cut(self) -> None:
        """End all connections, each within the next piece that it carries if one comes soon."""
        for tunnel in self._tunnels:
            tunnel.cut_within = self._random.random()
            asyncio.get_running_loop().call_later(_SOON, tunnel.abort)
        self._flowing.set()

    def refuse(self) -> None:
        """End all connections and let none in until it is healed."""
        self._refuses = True
        self.cut()

    def heal(self) -> None:
        """Be a good network again."""
        self._refuses = False
        self._longest_delay = 0.0
        self._flowing.set()

    async def pass_on(self, piece: bytes, tunnel: _Tunnel) -> bytes:
        """Hold a piece back; return it, or what is left of it when the connection is cut."""
        if self._longest_delay:
            await asyncio.sleep(self._random.random() * self._longest_delay)
        await self._flowing.wait()
        return piece if tunnel.cut_within is None else piece[: int(len(piece) * tunnel.cut_within)]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        await asyncio.sleep(self._distance)
        try:
            target = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        tunnel = _Tunnel(self, (reader, writer), target)
        self._tunnels.add(tunnel)
        try:
            await tunnel.carry()
        finally:
            self._tunnels.discard(tunnel)


_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Tunnel:
    """One connection through the proxy: what ends on one side ends on the other."""

    def __init__(self, proxy: TcpProxy, near: _End, far: _End) -> None:
        self._proxy = proxy
        self._near = near
        self._far = far
        self.cut_within: float | None = None
        """The share of the next piece that still gets through; None: all of it."""

    async def carry(self) -> None:
        """Forward in both directions until one of them ends."""
        pumps = [
            asyncio.create_task(self._pump(self._near[0], self._far[1])),
            asyncio.create_task(self._pump(self._far[0], self._near[1])),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
            self.abort()

    def abort(self) -> None:
        """End both connections at once; what is under way is lost."""
        for _, writer in (self._near, self._far):
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK):
                writer.write(await self._proxy.pass_on(piece, self))
                if self.cut_within is not None:
                    return
                await writer.drain()

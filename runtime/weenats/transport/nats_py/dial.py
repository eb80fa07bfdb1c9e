"""Connecting to the server that greets first, of several servers with several addresses."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from nats.aio.client import Srv

from weenats._internal.happy_eyeballs import first_success, resolve
from weenats.transport.nats_py.sockets import (
    GreetedSocket,
    GreetedTcp,
    GreetedWebSocket,
    discard_socket,
    time_limit,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Candidate", "Dialer"]
_MAX_DOUBLINGS: Final = 10
_NUMERIC: Final = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


@dataclass
class Candidate(Srv):
    """A server, and how the attempts to connect to it ended.

    Attributes:
        refusals: how often in a row it greeted and the connection failed nevertheless.
        failure: the exception of the last attempt, None after a success.
    """

    refusals: int = 0
    failure: Exception | None = None


class Dialer(NamedTuple):
    """Connects to servers, side by side when one of them does not answer at once.

    Attributes:
        timeout: the time limit of each attempt, in seconds.
        pause: the minimum time between two attempts at a server, in seconds; after refusals it is
            longer, at most `timeout`, so that servers which take longer to greet are reached.
        tls: returns the context of TLS handshakes.
        tls_first: whether the TLS handshake precedes the greeting of the server.
    """

    timeout: float
    pause: float
    tls: Callable[[], ssl.SSLContext]
    tls_first: bool

    async def first_to_greet(
        self, servers: Sequence[Candidate], on_failure: Callable[[Exception], Awaitable[None]]
    ) -> tuple[Candidate, GreetedSocket] | None:
        """Return the server that greets first and its connection; None when all attempts failed.

        Args:
            servers: the servers, in order of preference.
            on_failure: called with the exception of each server that cannot be reached.
        """
        attempts = [partial(self._attempt, each) for each in servers]
        return await first_success(attempts, on_failure, _discard)

    async def _attempt(self, server: Candidate) -> tuple[Candidate, GreetedSocket]:
        if server.last_attempt is not None:
            await asyncio.sleep(server.last_attempt + self._pause(server) - monotonic())
        server.last_attempt = monotonic()
        try:
            if server.uri.scheme in {"ws", "wss"}:
                return server, await self._open_websocket(server)
            return server, await self._open_tcp(server)
        except Exception as error:
            server.failure = error
            raise
        finally:
            server.last_attempt = monotonic()

    def _pause(self, server: Candidate) -> float:
        longest = max(self.timeout, self.pause)
        return min(self.pause * 2.0 ** min(server.refusals, _MAX_DOUBLINGS), longest)

    async def _open_websocket(self, server: Candidate) -> GreetedWebSocket:
        opened = GreetedWebSocket()
        tls = self.tls() if server.uri.scheme == "wss" else None
        await opened.open(server.uri, tls, server.tls_name, self.timeout)
        return opened

    async def _open_tcp(self, server: Candidate) -> GreetedTcp:
        host, port = server.uri.hostname or "", server.uri.port or 0
        tls = self.tls() if self.tls_first else None
        tls_name = server.tls_name or host
        failures: list[Exception] = []

        async def open_address(address: str) -> GreetedTcp:
            opened = GreetedTcp()
            try:
                await opened.open(address, port, tls, tls_name, self.timeout)
            finally:
                # Not with the exception: this task may be cancelled, when all attempts have ended.
                server.failure = opened.failure or server.failure
            return opened

        async def on_failure(error: Exception) -> None:
            failures.append(error)

        async with time_limit(self.timeout):  # else other servers are not tried again meanwhile
            found = await resolve(host, port)
        # As text with the zone of a link-local address, which `address[0]` lacks.
        texts = [socket.getnameinfo(address, _NUMERIC)[0] for *_, address in found]
        attempts = [partial(open_address, each) for each in dict.fromkeys(texts)]
        opened = await first_success(attempts, on_failure, discard_socket)
        if opened is None:
            raise failures[-1]
        return opened


async def _discard(dialed: tuple[Candidate, GreetedSocket]) -> None:
    await discard_socket(dialed[1])

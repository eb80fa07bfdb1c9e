"""Connecting when some servers or addresses hang, with credentials in URLs, and with TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import nats.aio.client
import pytest

from testkit.certificates import CertificateAuthority
from testkit.clocks import shift_time
from testkit.cluster_faults import put_leader_last
from testkit.tcp_proxy import TcpProxy
from testkit.transports import (
    FAST,
    answering,
    check_refusal,
    connected,
    disconnected,
    reconnected,
    soon,
)
from testkit.waiting import LIMIT, eventually, until
from weenats import ConnectionOptions, DeadlineExceededError, NatsTransport, UnavailableError
from weenats._internal import happy_eyeballs
from weenats.testing import NatsCluster, NatsServer
from weenats.testing.nats_server import free_ports
from weenats.transport import migration

PATIENT = ConnectionOptions(connect_timeout=100, reconnect_wait=0.02)
"""One server that hangs would take longer than a test waits."""
INFO = b'INFO {"server_id":"x","version":"2.11.0","headers":true,"max_payload":1048576}\r\n'
CLERK = "authorization { user: clerk, password: secret }\n"
HARD_PASSWORD = "p@ss/w:rd#1,%?"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.02)


class HangingServers:
    """Ports that accept connections and then say nothing, or nothing after a greeting."""

    def __init__(self) -> None:
        self.visits = 0
        self.received = b""
        self._stack = AsyncExitStack()

    async def open(self, host: str = "127.0.0.1", port: int = 0, greeting: bytes = b"") -> str:
        """Open a port and return its URL."""

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.visits += 1
            writer.write(greeting)
            while data := await reader.read(1000):
                self.received += data
            writer.close()

        server = await asyncio.start_server(hang, host, port)
        await self._stack.enter_async_context(server)
        return f"nats://{host}:{server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Close all ports."""
        await self._stack.aclose()


@pytest.fixture
async def hanging() -> AsyncIterator[HangingServers]:
    """Servers that hang."""
    servers = HangingServers()
    yield servers
    await servers.close()


async def check_works(transport: NatsTransport) -> None:
    """Check that requests are answered."""
    transport.subscribe("work", answering(transport))
    await transport.fence()
    assert (await transport.request("work", b"x", b"", soon())).payload == b"x"


async def test_one_server_that_answers_is_enough(nats_url: str, hanging: HangingServers) -> None:
    """Servers that hang do not delay the first connection, however many they are."""
    urls = [await hanging.open() for _ in range(8)]
    async with asyncio.timeout(LIMIT), connected([*urls, nats_url], PATIENT) as transport:
        await check_works(transport)


@pytest.mark.slow
async def test_reconnecting_beside_a_hanging_name(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost server is found again while the name of another one is not resolved."""
    real, opened = socket.getaddrinfo, threading.Event()

    def resolve(host: Any, *arguments: Any, **options: Any) -> list[Any]:
        if host == "hanging.example":
            opened.wait()
            raise socket.gaierror
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    urls = ["nats://hanging.example:4222", own_nats_server.url]
    try:
        async with connected(urls, replace(FAST, connect_timeout=5)) as transport:
            own_nats_server.kill()
            await disconnected(transport)
            connection = transport._connection
            assert connection is not None
            await eventually(lambda: "Connect call failed" in connection.failure)
            own_nats_server.start()
            await reconnected(transport)
    finally:
        opened.set()


async def test_reconnecting_beside_hanging_servers(
    own_nats_server: NatsServer, hanging: HangingServers
) -> None:
    """A lost server is found again although all others hang."""
    urls = [await hanging.open() for _ in range(8)]
    async with connected([own_nats_server.url, *urls], PATIENT) as transport:
        own_nats_server.kill()
        await disconnected(transport)
        own_nats_server.start()
        await reconnected(transport)


async def test_host_with_two_addresses(
    nats_url: str, hanging: HangingServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hangs at the first address of a name does not hide the second one."""
    port = int(nats_url.rpartition(":")[2])
    await hanging.open("127.0.0.2", port)
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> list[Any]:
        if host != "nats.example":
            return real(host, *arguments, **options)
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with (
        asyncio.timeout(LIMIT),
        connected(f"nats://nats.example:{port}", PATIENT) as transport,
    ):
        assert hanging.visits == 1
        await check_works(transport)


async def test_server_that_hangs_after_its_greeting(
    nats_url: str, hanging: HangingServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of the first connection is shared: a server that hangs leaves time for others."""
    monkeypatch.setattr(nats.aio.client, "shuffle", lambda _: None)
    time = shift_time()
    first = await hanging.open(greeting=INFO)
    transport = NatsTransport([first, nats_url], PATIENT)
    connecting = asyncio.create_task(transport.connect())
    await until(lambda: b"CONNECT" in hanging.received)
    time.advance(60)
    await asyncio.wait_for(connecting, LIMIT)
    await check_works(transport)
    await transport.close()


@pytest.mark.parametrize("info", [b"[]", b"5", b"null", b'{"max_payload":"many"}'])
async def test_malformed_greeting(
    own_nats_server: NatsServer, hanging: HangingServers, info: bytes
) -> None:
    """It is an attempt that failed, beside other servers as well as while reconnecting."""
    greeting = b"INFO " + info + b"\r\n"
    odd = await hanging.open(greeting=greeting)
    refused = NatsTransport(odd, replace(PATIENT, connect_timeout=0.2))
    with pytest.raises(UnavailableError):
        await refused.connect()
    await refused.close()
    async with connected([odd, own_nats_server.url], PATIENT) as transport:
        await check_works(transport)
    async with connected(own_nats_server.url, PATIENT) as transport:
        own_nats_server.kill()
        await disconnected(transport)
        await hanging.open(port=own_nats_server.port, greeting=greeting)
        hanging.visits = 0
        await eventually(lambda: hanging.visits)
        await hanging.close()
        own_nats_server.start()
        await reconnected(transport)


async def test_distant_server_beside_one_that_refuses() -> None:
    """A server that greets at once and refuses does not hide one that takes longer to greet."""
    with NatsServer(config=CLERK) as refusing, NatsServer() as good:
        async with (
            TcpProxy(good.port, distance=0.2) as proxy,
            connected([refusing.url, f"nats://127.0.0.1:{proxy.port}"], PATIENT) as transport,
        ):
            proxy.cut()
            await disconnected(transport)
            await reconnected(transport)
            assert transport.server_address == ("127.0.0.1", proxy.port)


async def test_unresolvable_host_beside_a_good_server(nats_url: str) -> None:
    """A host that does not exist does not keep a connection from another server."""
    async with connected(["nats://no-such-host.invalid:1", nats_url], PATIENT) as transport:
        await check_works(transport)


async def test_password_in_the_url_is_decoded() -> None:
    """A percent-encoded password in a URL is accepted, as is the same one as option."""
    with NatsServer(
        config=f'authorization {{ user: "a@b", password: "{HARD_PASSWORD}" }}'
    ) as server:
        url = f"nats://a%40b:{quote(HARD_PASSWORD, safe='')}@127.0.0.1:{server.port}"
        async with connected(url) as transport:
            await check_works(transport)
        options = ConnectionOptions(user="a@b", password=HARD_PASSWORD)
        async with connected(server.url, options) as transport:
            await check_works(transport)


async def test_token_in_the_url_is_decoded() -> None:
    """A token in place of the user is percent-decoded too."""
    with NatsServer(config='authorization { token: "t/k@n" }') as server:
        async with connected(f"nats://t%2Fk%40n@127.0.0.1:{server.port}") as transport:
            await check_works(transport)


@pytest.fixture
def _moves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "_PROPAGATION_TIME", 0.01)


@pytest.mark.usefixtures("_moves_at_once")
@pytest.mark.parametrize("event", ["lame_duck", "kill"])
async def test_announced_server_gets_the_credentials_of_the_url(event: str) -> None:
    """Another server of the cluster is reached after the given one died, and when it is left."""
    with NatsCluster(2, config=CLERK) as pair:
        put_leader_last(pair)
        first, second = pair.servers
        url = f"nats://clerk:secret@127.0.0.1:{first.port}"
        async with connected(url) as transport:
            getattr(first, event)()
            await eventually(lambda: transport.server_address == ("127.0.0.1", second.port))
            await check_works(transport)


@pytest.mark.usefixtures("_moves_at_once")
@pytest.mark.parametrize("event", ["lame_duck", "kill"])
async def test_announced_server_keeps_the_name_for_tls(tmp_path: Path, event: str) -> None:
    """The certificate of an announced IP address is verified with the name of the given URL."""
    authority = CertificateAuthority(tmp_path)
    options = replace(FAST, tls=authority.trusting)
    with NatsCluster(3, config=authority.certificate("localhost").config()) as trio:
        put_leader_last(trio)
        first = trio.servers[0]
        async with connected(f"nats://localhost:{first.port}", options) as transport:
            assert transport.is_private
            getattr(first, event)()
            await eventually(
                lambda: transport.server_address not in (None, ("localhost", first.port))
            )
            await check_works(transport)
            there = transport.server_address
            lost = next(each for each in trio.servers if there == ("127.0.0.1", each.port))
            getattr(lost, event)()
            await eventually(lambda: transport.server_address not in (None, there))
            await check_works(transport)


@pytest.mark.usefixtures("_moves_at_once")
@pytest.mark.parametrize("event", ["lame_duck", "kill"])
async def test_announced_websocket_keeps_the_name_for_tls(tmp_path: Path, event: str) -> None:
    """The certificate of an announced wss:// server is verified with the name of the given URL."""
    authority = CertificateAuthority(tmp_path)
    tls = authority.certificate("localhost").config()
    options = replace(FAST, tls=authority.trusting)
    with NatsCluster(2, config=f'websocket {{ host: "127.0.0.1", port: -1, {tls} }}') as pair:
        put_leader_last(pair)
        first = pair.servers[0]
        ports = [each.monitor("/varz")["websocket"]["port"] for each in pair.servers]
        async with connected(f"wss://localhost:{ports[0]}", options) as transport:
            getattr(first, event)()
            await eventually(lambda: transport.server_address == ("127.0.0.1", ports[1]))
            await check_works(transport)


@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_tls_handshake_first(nats_url: str, tmp_path: Path, scheme: str) -> None:
    """A server, or a proxy, that expects the TLS handshake first is reached with the option."""
    authority = CertificateAuthority(tmp_path)
    serving = authority.certificate("localhost").serving
    options = replace(FAST, tls=authority.trusting, tls_handshake_first=True)
    async with TcpProxy(int(nats_url.rpartition(":")[2]), tls=serving) as proxy:
        async with connected(f"{scheme}://localhost:{proxy.port}", options) as transport:
            assert transport._connection is not None
            assert transport._connection.uses_tls
            await check_works(transport)
            proxy.cut()
            await disconnected(transport)
            await reconnected(transport)
        untrusting = {"tls": ssl.create_default_context(), "tls_handshake_first": True}
        await check_refusal(f"localhost:{proxy.port}", "certificate verify failed", **untrusting)
        trusting = {"tls": authority.trusting, "tls_handshake_first": True}
        await check_refusal(f"127.0.0.1:{proxy.port}", "IP address mismatch", **trusting)


async def test_ordinary_server_does_not_answer_tls_first(nats_url: str) -> None:
    """The error of an ordinary server with tls_handshake_first names the option."""
    await check_refusal(nats_url, "connect without tls_handshake_first", tls_handshake_first=True)


async def test_silent_server_does_not_answer_tls_first(hanging: HangingServers) -> None:
    """So does that of a server that waits for something else."""
    url = await hanging.open()
    await check_refusal(url, "connect without tls_handshake_first", tls_handshake_first=True)


async def test_tls_first_server_is_explained(nats_url: str, tmp_path: Path) -> None:
    """The error of a server that expects the TLS handshake first names the option."""
    serving = CertificateAuthority(tmp_path).certificate("localhost").serving
    async with TcpProxy(int(nats_url.rpartition(":")[2]), tls=serving) as proxy:
        await check_refusal(
            f"localhost:{proxy.port}", "set tls_handshake_first of ConnectionOptions"
        )


@pytest.mark.parametrize(
    "last_words", [b"", b"\x15\x03\x01\x00\x02\x02\x28"], ids=["none", "alert"]
)
async def test_impatient_tls_first_server_is_explained(last_words: bytes) -> None:
    """The error of a server that ends the connection, with a TLS alert or not, names the option."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(last_words)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await check_refusal(f"127.0.0.1:{port}", "set tls_handshake_first of ConnectionOptions")


async def test_websocket_connection_survives_a_restart(hanging: HangingServers) -> None:
    """A connection over ws:// works, reconnects, and is not delayed by a server that hangs."""
    (port,) = free_ports(1)
    config = f'websocket {{ listen: "127.0.0.1:{port}", no_tls: true }}\n'
    silent = (await hanging.open()).replace("nats:", "ws:")
    with NatsServer(config=config) as server:
        options = ConnectionOptions(connect_timeout=100, reconnect_wait=0.02)
        async with connected(f"{silent},ws://127.0.0.1:{port}", options) as transport:
            await check_works(transport)
            server.kill()
            await disconnected(transport)
            server.start()
            await reconnected(transport)


@pytest.mark.parametrize("error", [OSError, asyncio.CancelledError])
async def test_websocket_closes_its_session_although_closing_fails(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """Nothing of aiohttp stays open when the socket cannot be closed, or its task is cancelled."""
    (port,) = free_ports(1)
    config = f'websocket {{ listen: "127.0.0.1:{port}", no_tls: true }}\n'

    async def fail(_: object) -> None:
        raise error

    with NatsServer(config=config):
        transport = NatsTransport(f"ws://127.0.0.1:{port}")
        await transport.connect()
        connection: Any = transport._connection
        socket = connection._transport
        session, close = socket._client, socket._ws.close
        monkeypatch.setattr(type(socket._ws), "close", fail)
        with suppress(asyncio.CancelledError):
            await transport.close()
        assert session.closed
        await close()


async def test_connection_has_several_servers_in_one_text(nats_url: str) -> None:
    """Servers in one text, separated by commas, are tried like those of a list."""
    async with connected(f"nats://127.0.0.1:1, {nats_url}", FAST) as transport:
        await check_works(transport)


async def test_calls_that_give_up_do_not_end_connecting(nats_url: str) -> None:
    """Calls with less time than connecting takes share one attempt, which goes on after them."""
    async with TcpProxy(int(nats_url.rpartition(":")[2]), distance=0.3) as proxy:
        transport = NatsTransport(f"nats://127.0.0.1:{proxy.port}", PATIENT)
        calls = 0
        async with asyncio.timeout(LIMIT):
            while not transport.is_connected:
                calls += 1
                with suppress(UnavailableError, DeadlineExceededError):
                    await transport.request("nowhere", b"", b"", monotonic() + 0.02)
        assert calls > 1
        await transport.close()
        await eventually(lambda: not proxy.connections)


async def test_server_without_headers_is_refused() -> None:
    """Each call would end the connection; the error says at once what to change."""
    with NatsServer(config="no_header_support: true") as server:
        transport = NatsTransport(server.url, ConnectionOptions(connect_timeout=3600))
        async with asyncio.timeout(LIMIT):
            with pytest.raises(UnavailableError, match="remove no_header_support from its config"):
                await transport.connect()

"""TLS that fails: what callers and logs learn, and that connections are found again."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from testkit.certificates import CertificateAuthority
from testkit.transports import FAST, check_refusal, connected, disconnected, reconnected
from testkit.waiting import LIMIT, eventually
from weenats import ConnectionOptions, NatsTransport
from weenats.errors import PermissionDeniedError, ServiceError, UnavailableError
from weenats.testing import NatsServer
from weenats.testing.nats_server import free_ports

INFO = b'INFO {"server_id":"x","version":"2.11.0","headers":true,"max_payload":1048576%s}\r\n'
REQUIRED = INFO % b',"tls_required":true'
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    """An authority for servers and clients."""
    return CertificateAuthority(tmp_path)


@pytest.fixture
def trusting(authority: CertificateAuthority) -> ssl.SSLContext:
    """The TLS context of a client that trusts it."""
    return authority.trusting


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """Run a server; yield its URL."""

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                await serve(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(closing, "127.0.0.1", 0) as server:
        yield f"nats://localhost:{server.sockets[0].getsockname()[1]}"


async def test_websocket_is_found_again_after_tls_failed(
    authority: CertificateAuthority, trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    """A wss:// connection outlives a server without TLS, whose error is like that of tls://."""
    (port,) = free_ports(1)
    listen = f'listen: "127.0.0.1:{port}"'
    encrypted = authority.certificate("localhost").config()
    options = ConnectionOptions(tls=trusting, reconnect_wait=0.02, connect_timeout=LIMIT)
    with NatsServer(config=f"websocket {{ {listen}, {encrypted} }}") as server:
        async with connected(f"wss://localhost:{port}", options) as transport:
            server.kill()
            server._config = f"websocket {{ {listen}, no_tls: true }}"
            server.start()
            connection = transport._connection
            assert connection is not None
            await eventually(lambda: connection.failure.startswith("[SSL: "))
            await check_refusal(f"wss://localhost:{port}", r": \[SSL: ", tls=trusting)
            server.kill()
            server._config = f"websocket {{ {listen}, {encrypted} }}"
            server.start()
            await reconnected(transport)
    assert "unexpected" not in caplog.text.replace("unexpected EOF", "")


async def test_refused_client_certificate_is_explained(
    authority: CertificateAuthority, trusting: ssl.SSLContext
) -> None:
    """A server that requires a certificate says so, or may not be heard; the error names it."""
    required = f', ca_file: "{authority.pem}", verify: true'
    config = authority.certificate("localhost").config(required)
    with NatsServer(config=config) as server:
        for _ in range(5):
            await check_refusal(f"tls://localhost:{server.port}", "certificate", tls=trusting)


@pytest.mark.parametrize("with_reset", [False, True])
async def test_end_after_the_handshake_is_explained(
    authority: CertificateAuthority, trusting: ssl.SSLContext, with_reset: bool
) -> None:
    """The error of a server that ends the connection after the handshake says what may be wrong."""
    context = authority.certificate("localhost").serving

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUIRED)
        await writer.start_tls(context)
        if with_reset:
            writer.transport.abort()

    async with serving(refuse) as url:
        await check_refusal(url, "it may require a client certificate", tls=trusting)


@pytest.mark.parametrize("with_reset", [False, True])
async def test_end_during_the_handshake_is_explained(
    trusting: ssl.SSLContext, with_reset: bool
) -> None:
    """The error of a server that does not go on with the handshake is not empty."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUIRED)
        await reader.read(10_000)
        if with_reset:
            writer.transport.abort()

    async with serving(refuse) as url:
        await check_refusal(url, "ended the connection during the TLS handshake", tls=trusting)


async def test_end_of_a_tls_connection_is_not_logged_by_asyncio(
    authority: CertificateAuthority, trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Asyncio warns of nothing when a server or a client ends a connection with TLS."""
    options = replace(FAST, tls=trusting)
    with NatsServer(config=authority.certificate("localhost").config()) as server:
        async with connected(f"tls://localhost:{server.port}", options) as transport:
            server.kill()
            await disconnected(transport)
            server.start()
            await reconnected(transport)
    assert not [each for each in caplog.records if each.name == "asyncio"]


async def test_names_that_are_announced_before_tls_are_not_used(
    authority: CertificateAuthority, trusting: ssl.SSLContext
) -> None:
    """Someone on the network path, who has a certificate for another name, cannot add that name."""
    with NatsServer(config=authority.certificate("localhost").config()) as server:

        async def add_servers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far, to_server = await asyncio.open_connection("127.0.0.1", server.port)
            greeting = json.loads((await far.readline()).removeprefix(b"INFO "))
            greeting["connect_urls"] = ["mallory.example:4222", "127.0.0.1:1"]
            writer.write(b"INFO %b\r\n" % json.dumps(greeting).encode())
            pumps = [
                asyncio.create_task(pump(reader, to_server)),
                asyncio.create_task(pump(far, writer)),
            ]
            await asyncio.wait(pumps)

        async with (
            serving(add_servers) as url,
            connected(url, ConnectionOptions(tls=trusting)) as transport,
        ):
            await transport.fence()
            connection = transport._connection
            assert connection is not None
            known = {each.url.address: each.tls_name for each in connection.known_servers}
            assert ("mallory.example", 4222) not in known
            assert known["127.0.0.1", 1] == "localhost"


async def test_names_that_are_announced_over_a_secure_websocket_are_used(
    authority: CertificateAuthority, trusting: ssl.SSLContext
) -> None:
    """Those of the greeting, which TLS protects, and those in one frame with the PONG."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        greeting = INFO % b',"connect_urls":["one.example:443"]'
        await socket.send_bytes(greeting[:20])
        await socket.send_bytes(greeting[20:])
        after = INFO % b',"connect_urls":["two.example:443"]'
        async for message in socket:
            if b"PING" in message.data:
                await socket.send_bytes(b"PONG\r\n" + after)
        return socket

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    serving_tls = authority.certificate("localhost").serving
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=serving_tls).start()
    url = f"wss://localhost:{runner.addresses[0][1]}"
    async with connected(url, ConnectionOptions(tls=trusting)) as transport:
        await transport.fence()
        connection = transport._connection
        assert connection is not None
        known = {each.url.hostname for each in connection.known_servers}
        assert known == {"localhost", "one.example", "two.example"}
    await runner.cleanup()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward until the end."""
    with suppress(OSError):
        while data := await reader.read(10_000):
            writer.write(data)
    writer.close()


async def test_each_reason_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Servers that fail in different ways are reported once each, not at each attempt."""
    attempts = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.write(INFO % b"")
        await reader.readline()
        writer.write(b"-ERR 'maximum connections exceeded'\r\n")

    async def speak_http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n")

    options = ConnectionOptions(connect_timeout=LIMIT, reconnect_wait=0.001)
    with NatsServer() as server:
        async with serving(hang_up) as one, serving(speak_http) as other:
            transport = NatsTransport(server.url, options)
            await transport.connect()
            connection = transport._connection
            assert connection is not None
            for each in NatsTransport([one, other])._servers:
                connection._setup_server_pool([*connection.known_servers, each])
            server.kill()
            await eventually(lambda: attempts >= 10)
            await transport.close()
    logged = [each.getMessage() for each in caplog.records if each.name == "weenats.transport"]
    assert len([each for each in logged if "maximum connections" in each]) == 1
    assert len([each for each in logged if "not a NATS server" in each]) == 1


@pytest.mark.parametrize(
    ("greeting", "answer", "error", "told"),
    [
        (b"SSH-2.0-x\r\n", b"", UnavailableError, r"not a NATS server.* begins with 'SSH-2\.0-x'"),
        (b"\x4a\x00\n\xff", b"", UnavailableError, r"not a NATS server.* begins with 'J"),
        (b"x" * 100_000, b"", UnavailableError, "not a NATS server.* does not end within 32768"),
        (b"INFO [1]\r\n", b"", UnavailableError, "not a NATS server.* INFO is not a JSON object"),
        (b"INFO {\r\n", b"", UnavailableError, "not a NATS server.* INFO is not a JSON object"),
        (
            b'INFO {"max_payload":"1"}\r\n',
            b"",
            UnavailableError,
            "not a NATS server.* INFO has malformed members",
        ),
        (
            INFO % b"",
            b"-ERR 'User Authentication Expired'\r\n",
            PermissionDeniedError,
            "refused the",
        ),
        (
            INFO % b"",
            b"-ERR 'User Authentication Revoked'\r\n",
            PermissionDeniedError,
            "refused the",
        ),
    ],
)
async def test_what_does_not_change_ends_connecting(
    greeting: bytes, answer: bytes, error: type[ServiceError], told: str
) -> None:
    """Another kind of server, and a user who is not accepted, end connecting at once."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        if answer:
            await reader.readline()
            writer.write(answer)
        await reader.read()

    async with serving(greet) as url:
        transport = NatsTransport(url, ConnectionOptions(connect_timeout=1000))
        with pytest.raises(error, match=told):
            await asyncio.wait_for(transport.connect(), LIMIT)
        await transport.close()


async def test_refusal_instead_of_a_greeting_is_told() -> None:
    """A server that has too many connections says so before it greets."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR 'maximum connections exceeded'\r\n")

    async with serving(refuse) as url:
        await check_refusal(url, r"\d: maximum connections exceeded")

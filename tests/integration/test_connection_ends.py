"""Connections that fail or end for good: reported in bounded time, never silently."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from testkit.probe import Probe, ProbeClient, Run
from testkit.tcp_proxy import TcpProxy
from testkit.transports import FAST, answering, connected, disconnected, reconnected, soon
from testkit.waiting import LIMIT, settle, until
from weenats import (
    ConnectionLostError,
    ConnectionOptions,
    InvalidArgumentError,
    NatsServiceBuilder,
    NatsTransport,
    UnavailableError,
)
from weenats.testing import NatsServer
from weenats.transport.servers import check_servers

INFO = b'INFO {"server_id":"x","version":"2.11.0","headers":true,"max_payload":1048576}\r\n'
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def fake_server(behaviour: Behaviour, port: int = 0) -> AsyncIterator[int]:
    """Run a TCP server with this behaviour; yield its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send INFO, read one line and close the connection."""
    writer.write(INFO)
    await reader.readline()


async def send_endless_info(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send an INFO line that never ends."""
    writer.write(b"INFO " + b"x" * 200_000)
    await writer.drain()
    await reader.read()


async def send_ssh_banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer like a server of another protocol."""
    writer.write(b"SSH-2.0-OpenSSH_9.9 INFO\r\n")
    await reader.read()


NO_SERVERS = [hang_up, send_endless_info, send_ssh_banner]


@pytest.mark.parametrize("behaviour", NO_SERVERS)
async def test_connecting_to_a_server_that_is_not_nats(behaviour: Behaviour) -> None:
    """Connecting fails in bounded time, whatever the server sends, and so does closing."""
    options = ConnectionOptions(connect_timeout=0.3, reconnect_wait=0.02)
    async with fake_server(behaviour) as port:
        transport = NatsTransport(f"nats://127.0.0.1:{port}", options)
        with pytest.raises(UnavailableError, match="no connection to NATS"):
            await asyncio.wait_for(transport.connect(), LIMIT)
        await asyncio.wait_for(transport.close(), LIMIT)


@pytest.mark.parametrize("behaviour", NO_SERVERS)
async def test_reconnecting_while_the_port_is_not_nats(
    behaviour: Behaviour, own_nats_server: NatsServer
) -> None:
    """Calls fail while another server uses the port, and work again once NATS is back."""
    async with connected(own_nats_server.url) as transport:
        own_nats_server.kill()
        await disconnected(transport)
        met = asyncio.Semaphore(0)

        async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            met.release()
            await behaviour(reader, writer)

        async with fake_server(noted, own_nats_server.port):
            for _ in range(3):
                await asyncio.wait_for(met.acquire(), LIMIT)
            with pytest.raises(UnavailableError, match="no connection to NATS until the deadline"):
                await transport.request("any", b"", b"", monotonic() + 0.05)
        own_nats_server.start()
        await reconnected(transport)


@pytest.mark.parametrize("kind", ["credentials", "nkey_seed"])
async def test_unusable_credentials_file_fails_immediately(tmp_path: Path, kind: str) -> None:
    """A broken or missing file fails before the connect timeout; closing is not delayed."""
    (tmp_path / "broken").write_text("-----BEGIN NATS USER JWT-----\n")
    with NatsServer(config='authorization { user: "a", password: "b" }') as server:
        for name, reason in (("broken", "does not contain"), ("missing", "cannot be read")):
            given: dict[str, Any] = {kind: tmp_path / name}
            transport = NatsTransport(server.url, ConnectionOptions(**given, connect_timeout=60))
            with pytest.raises(InvalidArgumentError, match=f"{name} {reason}"):
                await asyncio.wait_for(transport.connect(), LIMIT)
            await transport.close()


@pytest.mark.parametrize(
    "url",
    ["nats://me:hunter2@host:1", "nats://me:hun%2Fhunter2@host:1", "me:h%40hunter2@host:1"],
)
def test_passwords_in_urls_are_not_shown(url: str) -> None:
    """Passwords are removed from URLs, whatever characters they contain."""
    (server,) = check_servers(url)
    assert str(server) == "nats://host:1"
    assert "hunter2" not in repr(server)


async def test_service_stops_when_its_connection_closes(
    nats_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The service stops and logs it; wait_until_stopped() raises ConnectionLostError."""
    caplog.set_level(logging.ERROR)
    async with connected(nats_url) as shared:
        service = NatsServiceBuilder(Probe(), transport=shared).build()
        await service.start()
        waiting = asyncio.create_task(service.wait_until_stopped())
        await shared.close()
        with pytest.raises(ConnectionLostError, match="closed for good"):
            await asyncio.wait_for(waiting, LIMIT)
    assert not service.is_serving
    assert "stops: its connection to NATS was closed for good" in caplog.text


async def test_normal_stop_logs_no_errors(nats_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A normal stop and the later end of a shared connection log no errors."""
    caplog.set_level(logging.ERROR)
    async with connected(nats_url, FAST) as shared:
        async with NatsServiceBuilder(Probe(), transport=shared).build() as one:
            assert (await ProbeClient(shared).run("k", Run(action="a"))).text == "a"
        async with NatsServiceBuilder(Probe(), nats_url).build() as other:
            pass
    for service in (one, other):
        await service.wait_until_stopped()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not caplog.records


async def test_wait_closed_returns_when_the_connection_ends(nats_url: str) -> None:
    """wait_closed() returns once the connection has ended, not before."""
    async with connected(nats_url) as transport:
        ended = asyncio.create_task(transport.wait_closed())
        transport.subscribe("echo", answering(transport))
        await transport.request("echo", b"", b"", soon())
        assert not ended.done()
    await asyncio.wait_for(ended, LIMIT)


@pytest.mark.parametrize("gathers", [False, True])
async def test_first_request_while_the_connection_breaks(nats_url: str, gathers: bool) -> None:
    """A first request, of which nothing was sent, goes over the next connection in its deadline."""
    async with connected(nats_url) as service, connected(nats_url) as transport:
        service.subscribe("work", answering(service))
        await service.fence()
        connection = transport._connection
        assert connection is not None
        await connection._process_op_err(OSError("broken"))
        assert transport.is_connected
        if gathers:
            replies = await transport.request_many("work", b"x", timeout=LIMIT, quiet=0)
            assert [each.payload for each in replies] == [b"x"]
        else:
            assert (await transport.request("work", b"x", b"", soon())).payload == b"x"


async def test_first_request_whose_connection_breaks_before_it_is_sent(
    nats_server: NatsServer,
) -> None:
    """A request that waits for its subscription to replies goes over the next connection."""
    async with TcpProxy(nats_server.port) as link, connected(nats_server.url) as service:
        service.subscribe("work", answering(service))
        await service.fence()
        async with connected(f"nats://127.0.0.1:{link.port}") as transport:
            link.stall()
            asking = asyncio.create_task(transport.request("work", b"x", b"", soon()))
            await settle()
            link.heal()
            link.cut()
            assert (await asking).payload == b"x"


async def test_first_request_after_somebody_cancelled_all_tasks(nats_url: str) -> None:
    """Nothing reads replies any more: it fails at once, and does not hold the processor."""
    async with connected(nats_url) as transport:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        with pytest.raises(ConnectionLostError):
            await asyncio.wait_for(transport.request("work", b"x", b"", soon()), LIMIT / 2)


async def test_closing_beside_a_server_that_sends_pings_and_reads_nothing() -> None:
    """The task that sends pings ends too, though what it writes is not taken."""

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")
        while not writer.is_closing():
            writer.write(b"PING\r\n" * 1000)
            await asyncio.sleep(0)

    async with fake_server(flood) as port:
        options = ConnectionOptions(ping_interval=0.02, close_timeout=0.05)
        async with connected(f"nats://127.0.0.1:{port}", options) as transport:
            connection = transport._connection
            assert connection is not None
            await until(lambda: connection._pings_outstanding)
            pings = connection._ping_interval_task
        assert pings is not None
        await until(pings.done)

"""Connections that do not come about, or end for good: told in bounded time, never in silence."""

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
from testkit.transports import FAST, answering, connected, disconnected, reconnected, soon
from testkit.waiting import LIMIT
from weenats import (
    ConnectionLostError,
    ConnectionOptions,
    InvalidArgumentError,
    NatsServiceBuilder,
    NatsTransport,
    UnavailableError,
)
from weenats.testing import NatsServer
from weenats.transport.nats_py import shown

INFO = b'INFO {"server_id":"x","version":"2.11.0","headers":true,"max_payload":1048576}\r\n'
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def pretending(behaviour: Behaviour, port: int = 0) -> AsyncIterator[int]:
    """Run what may call itself a server."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say hello, listen to who is there, and go without a word."""
    writer.write(INFO)
    await reader.readline()


async def talk_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say hello without an end."""
    writer.write(b"INFO " + b"x" * 200_000)
    await writer.drain()
    await reader.read()


async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be some other kind of server."""
    writer.write(b"SSH-2.0-OpenSSH_9.9 INFO\r\n")
    await reader.read()


NO_SERVERS = [hang_up, talk_on, talk_nonsense]


@pytest.mark.parametrize("behaviour", NO_SERVERS)
async def test_what_is_no_server(behaviour: Behaviour) -> None:
    """Whatever answers there, connecting ends in bounded time, and closing too."""
    options = ConnectionOptions(connect_timeout=0.3, reconnect_wait=0.02)
    async with pretending(behaviour) as port:
        transport = NatsTransport(f"nats://127.0.0.1:{port}", options)
        with pytest.raises(UnavailableError, match="no connection to NATS"):
            await asyncio.wait_for(transport.connect(), LIMIT)
        await asyncio.wait_for(transport.close(), LIMIT)


@pytest.mark.parametrize("behaviour", NO_SERVERS)
async def test_what_is_no_server_while_reconnecting(
    behaviour: Behaviour, own_nats_server: NatsServer
) -> None:
    """Something else listens there for a while: calls say so, and go on with the server."""
    async with connected(own_nats_server.url) as transport:
        own_nats_server.kill()
        await disconnected(transport)
        met = asyncio.Semaphore(0)

        async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            met.release()
            await behaviour(reader, writer)

        async with pretending(noted, own_nats_server.port):
            for _ in range(3):
                await asyncio.wait_for(met.acquire(), LIMIT)
            with pytest.raises(UnavailableError, match="no connection to NATS until the deadline"):
                await transport.request("any", b"", b"", monotonic() + 0.05)
        own_nats_server.start()
        await reconnected(transport)


@pytest.mark.parametrize("kind", ["credentials", "nkey_seed"])
async def test_a_file_that_cannot_be_used(tmp_path: Path, kind: str) -> None:
    """It is told at once, not when the time to connect is over, and closing is not held up."""
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
    ["nats://me:hunter2@host:1", "nats://me:hun/hunter2@host:1", "me:h@hunter2@host:1"],
)
def test_passwords_in_urls_are_not_shown(url: str) -> None:
    """Whatever signs they are made of."""
    assert shown([url]).removeprefix("nats://") == "host:1"


async def test_a_service_whose_connection_ends_for_good(
    nats_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It stops, says so in its log, and whoever waits for its stop is told why."""
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


async def test_a_service_that_is_stopped_says_nothing(
    nats_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its own stop, and the end of a shared connection afterwards, are no failure."""
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


async def test_the_end_of_a_connection_is_awaited(nats_url: str) -> None:
    """`wait_closed` returns once it has ended, not before."""
    async with connected(nats_url) as transport:
        ended = asyncio.create_task(transport.wait_closed())
        transport.subscribe("echo", answering(transport))
        await transport.request("echo", b"", b"", soon())
        assert not ended.done()
    await asyncio.wait_for(ended, LIMIT)

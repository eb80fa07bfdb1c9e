"""Lame duck mode: connections move to another server before theirs shuts down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from testkit.cluster_faults import is_deserted
from testkit.transports import FAST, answering, connected, disconnected, reconnected, soon
from testkit.waiting import eventually, until, wait_for
from weenats import NatsTransport
from weenats.testing import NatsCluster, NatsServer
from weenats.transport import Delivery, migration

PATIENT = 'lame_duck_grace_period: "100s"\nlame_duck_duration: "200s"'
"""The configuration of a server that stays longer in lame duck mode than any test takes."""


@asynccontextmanager
async def connected_to_first(cluster: NatsCluster) -> AsyncIterator[NatsTransport]:
    """Connect to the first server, which announces the other one."""
    async with connected(cluster.servers[0].url) as transport:
        yield transport


async def wait_until_moved(transport: NatsTransport, cluster: NatsCluster) -> None:
    """Wait until the transport is connected to the second server."""
    there = cluster.servers[1].port
    await eventually(lambda: transport.server_address == ("127.0.0.1", there))


async def test_reply_arrives_after_caller_and_service_have_moved(
    pair: NatsCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request in progress is answered although both peers have left the server."""
    monkeypatch.setattr(migration, "_PROPAGATION_TIME", 0.2)
    requests: asyncio.Queue[Delivery] = asyncio.Queue()
    async with connected_to_first(pair) as service, connected_to_first(pair) as client:
        service.subscribe("work", requests.put_nowait, "workers")
        await service.fence()
        call = asyncio.create_task(client.request("work", b"", b"", soon()))
        request = await requests.get()
        pair.servers[0].lame_duck()
        await wait_until_moved(service, pair)
        await wait_until_moved(client, pair)
        service.publish(request.reply, b"done")
        assert (await call).payload == b"done"
        await asyncio.to_thread(wait_for, lambda: is_deserted(pair.servers[0]))


async def test_connection_without_another_server_stays(caplog: pytest.LogCaptureFixture) -> None:
    """The connection stays in use, looks for another server and survives a restart."""
    caplog.set_level("DEBUG", "weenats.transport")

    def attempts() -> list[tuple[str, str]]:
        told = [(each.levelname, each.getMessage()) for each in caplog.records]
        return [each for each in told if "no other NATS server yet: " in each[1]]

    with NatsServer(config=PATIENT) as server:
        async with connected(server.url) as transport:
            transport.subscribe("work", answering(transport))
            await transport.fence()
            transport._options = replace(FAST, connect_timeout=0.2)
            server.lame_duck()
            await until(lambda: "DEBUG" in {level for level, _ in attempts()})
            # On a busy machine an attempt may end before the system has refused it.
            previous = ""
            for level, text in attempts():
                assert "yet: UNAVAILABLE: no connection" in text
                assert level == ("DEBUG" if text == previous else "WARNING")
                previous = text
            assert (await transport.request("work", b"x", b"", soon())).payload == b"x"
            server.kill()
            await disconnected(transport)
            server.start()
            await reconnected(transport)
            assert (await transport.request("work", b"y", b"", soon())).payload == b"y"


async def test_moving_the_only_instance_fails_no_calls(pair: NatsCluster) -> None:
    """Calls to a single instance succeed all the time while its server shuts down."""
    async with (
        connected_to_first(pair) as service,
        connected_to_first(pair) as client,
        connected(pair.servers[1].url) as other,
    ):
        service.subscribe("work", answering(service), "workers")
        await service.fence()
        pair.servers[0].lame_duck()
        count = 0
        while client.server_address == service.server_address != other.server_address:
            count += 1
            text = f"{count}".encode()
            assert (await client.request("work", text, b"", soon())).payload == text
        await wait_until_moved(service, pair)
        await wait_until_moved(client, pair)
        assert (await client.request("work", b"x", b"", soon())).payload == b"x"


@pytest.mark.parametrize(
    "far",
    [
        pytest.param(False, id="published where it was", marks=pytest.mark.slow),
        pytest.param(True, id="published elsewhere"),
    ],
)
async def test_subscriber_gets_messages_once_and_in_order(pair: NatsCluster, far: bool) -> None:
    """A subscriber that moves receives every message in order, and once from its own server.

    What waits on a slow route while it moves may arrive at both servers.
    """
    heard: list[int] = []
    async with (
        connected_to_first(pair) as listener,
        connected(pair.servers[int(far)].url) as publisher,
    ):
        listener.subscribe("news", lambda delivery: heard.append(int(delivery.payload)))
        ready = asyncio.Event()
        listener.subscribe("ready", lambda _: ready.set())
        await listener.fence()
        while not ready.is_set():  # another server learns later what the listener's own knows
            publisher.publish("ready", b"")
            await publisher.fence()
        told = 0

        async def tell() -> None:
            nonlocal told
            for _ in range(20):
                told += 1
                publisher.publish("news", f"{told}".encode())
            await publisher.fence()

        pair.servers[0].lame_duck()
        while listener.server_address != ("127.0.0.1", pair.servers[1].port):
            await tell()
        while told < 20_000:
            await tell()
        await eventually(lambda: heard[-1:] == [told])
    assert (list(dict.fromkeys(heard)) if far else heard) == list(range(1, told + 1))


async def test_connection_moves_once_another_server_starts(pair: NatsCluster) -> None:
    """Without another server the connection stays and works; it moves when there is one."""
    pair.servers[1].kill()
    async with connected(pair.urls) as service, connected(pair.urls) as client:
        service.subscribe("work", answering(service), "workers")
        await service.fence()
        pair.servers[0].lame_duck()
        await eventually(lambda: service._migration.is_running and client._migration.is_running)
        assert (await client.request("work", b"x", b"", soon())).payload == b"x"
        await asyncio.to_thread(pair.servers[1].launch)
        await wait_until_moved(service, pair)
        await wait_until_moved(client, pair)


async def test_closing_during_a_move(pair: NatsCluster) -> None:
    """A connection that is closed while it looks for another server leaves no tasks."""
    pair.servers[1].kill()
    tasks = asyncio.all_tasks()
    transport = NatsTransport(pair.servers[0].url)
    await transport.connect()
    pair.servers[0].lame_duck()
    await eventually(lambda: transport._migration.is_running)
    await transport.close()
    assert asyncio.all_tasks() == tasks


async def test_unsubscribing_during_a_move_stops_delivery(
    pair: NatsCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unsubscribing in the middle of a move ends the subscription on both servers."""
    monkeypatch.setattr(migration, "_PROPAGATION_TIME", 0.2)
    heard: list[Delivery] = []
    async with connected_to_first(pair) as listener, connected(pair.servers[1].url) as publisher:
        interest = listener.subscribe("news", heard.append)
        await listener.fence()
        pair.servers[0].lame_duck()
        await until(lambda: listener._migration._overlaps)
        await listener.unsubscribe([interest])
        before = len(heard)
        publisher.publish("news", b"")
        await publisher.fence()
        await listener.fence()
        assert len(heard) == before
        await eventually(lambda: not listener._migration.is_running)
        assert listener._connection is not None
        assert listener._connection.interests == []

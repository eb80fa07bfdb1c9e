"""Clients that are cancelled while they connect or close leave no connection and no task."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from testkit.clocks import shift_time
from testkit.probe import ProbeClient
from testkit.tcp_proxy import TcpProxy
from testkit.waiting import LIMIT, eventually, settle
from weenats import ConnectionClosedError, ConnectionOptions, UnavailableError
from weenats.testing import NatsServer
from weenats.testing.nats_server import free_ports


class Monitored(NatsServer):
    """A nats-server that says how many connections it has."""

    def __init__(self) -> None:
        self.monitoring = free_ports(1)[0]
        super().__init__(config=f"http: 127.0.0.1:{self.monitoring}")

    def connections(self) -> int:
        """Return the number of open connections."""
        url = f"http://127.0.0.1:{self.monitoring}/connz"
        with urllib.request.urlopen(url) as response:
            return int(json.load(response)["num_connections"])


@pytest.fixture(scope="module")
def server() -> Iterator[Monitored]:
    """A nats-server that says how many connections it has."""
    with Monitored() as running:
        yield running


@asynccontextmanager
async def no_tasks_left() -> AsyncIterator[None]:
    """Check that no task is left in the end."""
    before = asyncio.all_tasks()
    yield
    await eventually(lambda: asyncio.all_tasks() == before)


async def cancel_each_step(task: asyncio.Task[None]) -> None:
    """Cancel a task in each iteration of the loop until it ends, as anyio's scopes do."""
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    with suppress(asyncio.CancelledError):
        await task


async def test_client_cancelled_while_it_closes(server: Monitored) -> None:
    """The connection is closed although the task that closes it is cancelled again and again."""
    in_block = asyncio.Event()

    async def use() -> None:
        async with ProbeClient.connect(server.url):
            in_block.set()
            await asyncio.Event().wait()

    async with no_tasks_left():
        for _ in range(5):
            in_block.clear()
            task = asyncio.create_task(use())
            await in_block.wait()
            await cancel_each_step(task)
    await eventually(lambda: server.connections() == 0)


@pytest.mark.parametrize("steps", [*range(12), 20, 30, 60])
async def test_client_cancelled_while_it_connects(server: Monitored, steps: int) -> None:
    """Wherever the cancellation comes in, nothing stays open."""

    async def use() -> None:
        async with ProbeClient.connect(server.url):
            await asyncio.Event().wait()

    async with no_tasks_left():
        task = asyncio.create_task(use())
        for _ in range(steps):
            await asyncio.sleep(0)
        await cancel_each_step(task)
    await eventually(lambda: server.connections() == 0)


@pytest.mark.parametrize("closes_first", [False, True])
async def test_call_cancelled_while_its_client_closes(closes_first: bool) -> None:
    """A call that waits for the connection ends with the cancellation, not with the closing."""
    accepted: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, each: accepted.append(each), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with no_tasks_left():
        client = ProbeClient.connect(f"nats://127.0.0.1:{port}", verify="off")
        call = asyncio.create_task(client.get("k"))
        other = asyncio.create_task(client.get("k"))
        await settle()
        closing = asyncio.create_task(client.close())
        if closes_first:
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call, closing])
        assert call.cancelled()
        with pytest.raises(ConnectionClosedError):
            await other
    silent.close()
    for each in accepted:
        each.close()
        await each.wait_closed()


async def test_cancelled_block_leaves_others_open(server: Monitored) -> None:
    """A task that is cancelled while it enters does not close the client of one that enters too."""
    client = ProbeClient.connect(server.url)

    async def use() -> bool:
        async with client:
            return client.transport.is_connected

    async with no_tasks_left():
        first, second = (asyncio.create_task(use()) for _ in range(2))
        await asyncio.sleep(0)  # both wait for the connection
        first.cancel()
        assert await second
        with pytest.raises(asyncio.CancelledError):
            await first
    await eventually(lambda: server.connections() == 0)


async def test_block_can_be_entered_again_once_there_is_a_server() -> None:
    """A failed attempt to connect does not close the client."""
    with NatsServer() as own:
        client = ProbeClient.connect(own.url, verify="off")
        own.kill()
        time = shift_time()
        connecting = asyncio.create_task(client.__aenter__())
        await settle()
        time.advance(10 * LIMIT)
        with pytest.raises(UnavailableError):
            await connecting
        own.start()
        async with client:
            assert client.transport.is_connected


async def test_concurrent_closes_wait_for_the_first(server: Monitored) -> None:
    """Each close() returns when the connection is closed, one of them being cancelled or not."""
    async with no_tasks_left():
        client = await ProbeClient.connect(server.url).__aenter__()
        first, second = (asyncio.create_task(client.close()) for _ in range(2))
        await settle()
        first.cancel()
        await second
        await client.close()
    await eventually(lambda: server.connections() == 0)


async def test_closing_while_the_server_is_away(server: Monitored) -> None:
    """Closing does not wait for the pause between attempts to reconnect."""
    async with TcpProxy(server.port) as link, no_tasks_left():
        options = ConnectionOptions(reconnect_wait=3600)
        client = ProbeClient.connect(f"nats://127.0.0.1:{link.port}", connection=options)
        async with client:
            link.refuse()
            transport = client.transport
            await eventually(lambda: not transport._connected.is_set())  # type: ignore[attr-defined]

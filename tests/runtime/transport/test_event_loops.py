"""A connection belongs to the event loop that opened it; another loop fails at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from testkit.forks import fork, run_program
from testkit.probe import Probe, ProbeClient, Run
from testkit.transports import answering, soon
from testkit.waiting import LIMIT
from weenats import (
    ConnectionOptions,
    NatsServiceBuilder,
    NatsTransport,
    UnavailableError,
    WrongEventLoopError,
)
from weenats.testing import MemoryBroker, MemoryTransport, NatsServer
from weenats.transport import Subscription, Transport
from weenats.transport.servers import check_servers

Use = Callable[[Transport, Subscription], Awaitable[Any]]


async def publish(transport: Transport, subject: str) -> None:
    """Publish on the running loop."""
    transport.publish(subject, b"")


async def subscribe(transport: Transport, subject: str) -> None:
    """Subscribe on the running loop."""
    transport.subscribe(subject, print)


USES: dict[str, Use] = {
    "connect": lambda transport, _: transport.connect(),
    "request": lambda transport, own: transport.request(own.subject, b"", b"", soon()),
    "request_many": lambda transport, own: transport.request_many(
        own.subject, b"", timeout=LIMIT, quiet=LIMIT
    ),
    "publish": lambda transport, own: publish(transport, own.subject),
    "subscribe": lambda transport, own: subscribe(transport, own.subject),
    "fence": lambda transport, _: transport.fence(),
    "unsubscribe": lambda transport, own: transport.unsubscribe([own]),
    "wait_closed": lambda transport, _: transport.wait_closed(),
    "wait_disconnected": lambda transport, _: transport.wait_disconnected(),
    "close": lambda transport, _: transport.close(),
}


async def on_another_loop(call: Callable[[], Awaitable[Any]]) -> Any:
    """Run a call on an event loop of its own, in a thread."""

    async def run() -> Any:
        async with asyncio.timeout(LIMIT):  # here, since nothing ends a thread that hangs
            return await call()

    return await asyncio.to_thread(lambda: asyncio.run(run()))


@pytest.mark.parametrize("use", USES)
async def test_another_loop_is_refused(caller: Transport, subject: str, use: str) -> None:
    """Each operation fails at once, and the connection still works on its own loop."""
    own = caller.subscribe(subject, answering(caller, b"here"))
    with pytest.raises(WrongEventLoopError, match="belongs to the event loop"):
        await on_another_loop(lambda: USES[use](caller, own))
    assert (await caller.request(subject, b"", b"", soon())).payload == b"here"


def test_unopened_transport_moves_to_the_next_loop() -> None:
    """A transport that never connected is used by the next loop, also after waiting on locks."""
    server = NatsServer()
    options = ConnectionOptions(connect_timeout=0.05, reconnect_wait=0.01)
    transport = NatsTransport("nats://127.0.0.1:9", options)

    async def connect_twice() -> None:
        outcomes = await asyncio.gather(
            transport.connect(), transport.connect(), return_exceptions=True
        )
        assert {type(each) for each in outcomes} == {UnavailableError}

    for _ in range(2):
        asyncio.run(connect_twice())
    with server:
        transport._servers = check_servers(server.url)
        transport._options = ConnectionOptions()

        async def use() -> None:
            await transport.connect()
            await transport.fence()
            await transport.close()

        asyncio.run(use())


async def test_memory_broker_delivers_to_each_loop() -> None:
    """A service on the loop of a thread answers a client on another loop, as over NATS."""
    broker = MemoryBroker()
    is_up, is_done = asyncio.Event(), asyncio.Event()
    here = asyncio.get_running_loop()

    async def serve() -> None:
        done = asyncio.Event()
        stops.append((asyncio.get_running_loop(), done))
        async with NatsServiceBuilder(Probe(), transport=MemoryTransport(broker)).build():
            here.call_soon_threadsafe(is_up.set)
            await done.wait()
        here.call_soon_threadsafe(is_done.set)

    stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    serving = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(serve())))
    await asyncio.wait_for(is_up.wait(), LIMIT)
    async with ProbeClient(MemoryTransport(broker)) as client:
        assert (await client.run("k", Run(action="a"))).text == "a"
    loop, done = stops[0]
    loop.call_soon_threadsafe(done.set)
    await asyncio.wait_for(is_done.wait(), LIMIT)
    await serving


SCRIPT = """
import asyncio
from testkit.probe import ProbeClient, Run
from weenats import WrongEventLoopError

attempts = []

async def count(context, call_next):
    attempts.append(context.message_id)
    return await call_next(context)

client = ProbeClient.connect(arguments[0]).with_retry().with_interceptor(count)
asyncio.run(client.run("k", Run(action="first")))
try:
    asyncio.run(client.get("k"))  # idempotent, so that it would be retried
except WrongEventLoopError:
    assert len(attempts) == 2
    send("refused")
"""

FORK = """
import asyncio, os
from testkit.probe import ProbeClient, Run
from weenats import WrongEventLoopError

def child(client):
    try:
        asyncio.run(client.run("k", Run(action="child")))
    except WrongEventLoopError:
        os._exit(7)
    os._exit(0)

async def main(url):
    unopened = ProbeClient.connect(url)
    async with ProbeClient.connect(url) as client:
        await client.run("k", Run(action="before"))
        for used, status in ((client, 7), (unopened, 0)):
            pid = os.fork()
            if pid == 0:
                child(used)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status
        assert (await client.run("k", Run(action="after"))).text == "after"

asyncio.run(main(arguments[0]))
"""

WORKERS = """
import asyncio, os, sys
from testkit.probe import ProbeClient, Run

client = ProbeClient.connect(arguments[0])  # before the workers are forked, as with preloading

async def work():
    async with client:
        for number in range(200):
            text = f"{os.getpid()} {number}"
            assert (await client.run("k", Run(action=text))).text == text
        send(client.transport._inbox.mux.wildcard)

workers = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        asyncio.run(work())
        os._exit(0)
    workers.append(pid)
sys.exit(sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers))
"""

forks = pytest.mark.skipif(sys.platform == "win32", reason="no fork")


async def run_beside_a_service(program: str, url: str, count: int) -> list[Any]:
    """Run a program beside a running probe service; return the objects that it sends."""
    async with NatsServiceBuilder(Probe(), url).build():
        with fork(run_program, program, url) as child:
            sent = [await child.receive() for _ in range(count)]
            assert await child.wait() == 0
    return sent


async def test_client_of_an_ended_loop_is_refused(nats_url: str) -> None:
    """A client that is kept across asyncio.run calls fails at once, and is not retried."""
    assert await run_beside_a_service(SCRIPT, nats_url, 1) == ["refused"]


@forks
async def test_forked_process_cannot_use_the_connection(nats_url: str) -> None:
    """A connected client fails at once in a child and keeps working in its parent."""
    assert await run_beside_a_service(FORK, nats_url, 0) == []


@forks
async def test_forked_processes_have_inboxes_of_their_own(nats_url: str) -> None:
    """Workers that share a client from before the fork get only their own replies."""
    inboxes = await run_beside_a_service(WORKERS, nats_url, 2)
    assert len(set(inboxes)) == 2

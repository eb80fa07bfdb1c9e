"""The transport over servers that crash, come back, hang or reject credentials."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from time import monotonic

import pytest
from nats.aio.transport import TcpTransport

from testkit.transports import (
    FAST,
    answering,
    connected,
    reconnected,
    request_again,
    soon,
)
from testkit.waiting import LIMIT
from weenats import (
    ConnectionClosedError,
    ConnectionLostError,
    ConnectionOptions,
    NatsTransport,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
)
from weenats.testing import NatsServer
from weenats.transport import Delivery


async def unanswered_request(transport: NatsTransport, subject: str) -> asyncio.Task[Delivery]:
    """Start a request that never gets a reply."""
    called = asyncio.Event()
    transport.subscribe(subject, lambda _: called.set())
    call = asyncio.create_task(transport.request(subject, b"", b"", monotonic() + 60))
    await called.wait()
    return call


async def break_connection(transport: NatsTransport, break_it: Callable[[], None]) -> None:
    """Break the connection and wait until a pending request fails."""
    call = await unanswered_request(transport, "silence")
    break_it()
    with pytest.raises(ConnectionLostError, match="whether silence was executed is unknown"):
        await asyncio.wait_for(call, LIMIT)


async def test_reconnect_to_a_killed_server(own_nats_server: NatsServer) -> None:
    """Pending requests fail immediately; later requests and events wait for the server."""
    async with connected(own_nats_server.url) as transport:
        arrived: list[bytes] = []
        transport.subscribe("event", lambda delivery: arrived.append(delivery.payload))
        transport.subscribe("echo", answering(transport), "group")
        await break_connection(transport, own_nats_server.kill)
        with pytest.raises(ConnectionLostError):
            await transport.fence()
        with pytest.raises(UnavailableError, match="no connection to NATS until the deadline"):
            await transport.request_many("echo", b"", timeout=0.05, quiet=9)
        transport.subscribe("later", answering(transport, b"later"))
        transport.publish("event", b"kept")
        with pytest.raises(UnavailableError, match="no connection to NATS until the deadline"):
            await transport.request("echo", b"", b"", monotonic() + 0.05)
        call = asyncio.create_task(transport.request("echo", b"patient", b"", soon()))
        own_nats_server.start()
        assert (await call).payload == b"patient"
        assert (await transport.request("later", b"", b"", soon())).payload == b"later"
        assert arrived == [b"kept"]


@pytest.mark.timing
async def test_without_a_server_requests_end_at_their_deadline(own_nats_server: NatsServer) -> None:
    """A request does not wait longer for the connection than it has time."""
    async with connected(own_nats_server.url) as transport:
        await break_connection(transport, own_nats_server.kill)
        started = monotonic()
        with pytest.raises(UnavailableError, match="no connection to NATS until the deadline"):
            await transport.request("echo", b"", b"", started + 0.05)
        assert monotonic() - started < 2


async def test_reconnect_buffer_is_limited(own_nats_server: NatsServer) -> None:
    """Without a connection publishing fails once more than two megabytes are buffered."""
    async with connected(own_nats_server.url) as transport:
        arrived: list[int] = []
        transport.subscribe("event", lambda delivery: arrived.append(len(delivery.payload)))
        await break_connection(transport, own_nats_server.kill)
        for _ in range(3):
            transport.publish("event", b"x" * 1_000_000)
        with pytest.raises(ResourceExhaustedError, match="the buffer for messages to NATS is full"):
            transport.publish("event", b"")
        own_nats_server.start()
        await reconnected(transport)
        transport.publish("event", b"")
        await transport.fence()
        assert arrived == [1_000_000] * 3 + [0]


@pytest.mark.parametrize("again", [True, False])
async def test_closing_while_reconnecting(own_nats_server: NatsServer, *, again: bool) -> None:
    """close() ends immediately while reconnecting; pending requests are UNAVAILABLE."""
    transport = NatsTransport(own_nats_server.url, FAST)
    await transport.connect()
    await break_connection(transport, own_nats_server.kill)
    transport.publish("event", b"kept")
    call = asyncio.create_task(transport.request("echo", b"", b"", monotonic() + 60))
    if again:
        own_nats_server.start()
    await asyncio.wait_for(transport.close(), LIMIT)
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(call, LIMIT)


async def test_writelines_is_not_used(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats-py's `writelines` is never used: in some Pythons it cannot handle a lost socket."""
    used: list[object] = []
    monkeypatch.setattr(TcpTransport, "writelines", lambda _, frames: used.append(frames))
    async with connected(own_nats_server.url) as transport:
        transport.subscribe("echo", answering(transport))
        await break_connection(transport, own_nats_server.kill)
        transport.publish("event", b"kept")
        own_nats_server.start()
        assert (await transport.request("echo", b"on", b"", soon())).payload == b"on"
        await break_connection(transport, own_nats_server.kill)
        interest = transport.subscribe("later", answering(transport))
        transport.publish("event", b"never sent")
        await asyncio.gather(transport.close(), transport.unsubscribe([interest]))
    assert not used


async def test_hanging_server_is_detected(own_nats_server: NatsServer) -> None:
    """A server that misses pings counts as lost; requests work once it responds again."""
    options = ConnectionOptions(reconnect_wait=0.02, ping_interval=0.05, connect_timeout=LIMIT)
    async with connected(own_nats_server.url, options) as transport:
        transport.subscribe("echo", answering(transport))
        try:
            await break_connection(transport, own_nats_server.pause)
        finally:
            own_nats_server.resume()
        assert (await request_again(transport, "echo", b"on")).payload == b"on"


@pytest.fixture
async def mute_server() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server that accepts connections and sends nothing; the event is set on connect."""
    writers: list[asyncio.StreamWriter] = []
    came = asyncio.Event()

    def on_connect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        came.set()

    async with await asyncio.start_server(on_connect, "127.0.0.1", 0) as server:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", came
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@pytest.mark.timing
async def test_connecting_without_a_server_fails_in_bounded_time(
    mute_server: tuple[str, asyncio.Event],
) -> None:
    """connect() fails after connect_timeout; no error and no repr contains the password."""
    options = ConnectionOptions(connect_timeout=0.1, user="me", password="hunter2")
    for url in ("nats://127.0.0.1:1", mute_server[0], "nats://u:hunter2@127.0.0.1:1"):
        transport = NatsTransport(url, options)
        started = monotonic()
        with pytest.raises(UnavailableError, match="no connection to NATS at nats://127") as error:
            await transport.connect()
        with pytest.raises(UnavailableError):
            await transport.request("echo", b"", b"", monotonic() + 0.05)
        assert monotonic() - started < 3
        assert "hunter2" not in f"{error.value}{transport!r}{options!r}"
        await transport.close()


async def test_closing_while_connecting(mute_server: tuple[str, asyncio.Event]) -> None:
    """close() does not wait for a silent server; connect() and requests fail."""
    url, came = mute_server
    transport = NatsTransport(url, ConnectionOptions(connect_timeout=120))
    connecting = asyncio.create_task(transport.connect())
    call = asyncio.create_task(transport.request("echo", b"", b"", monotonic() + 60))
    await came.wait()
    await asyncio.wait_for(transport.close(), LIMIT)
    for task in (connecting, call):
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(task, LIMIT)


async def test_cancelled_connect(mute_server: tuple[str, asyncio.Event]) -> None:
    """Cancelling connect() raises CancelledError; the next connect() tries again."""
    url, came = mute_server
    transport = NatsTransport(url, ConnectionOptions(connect_timeout=0.1))
    connecting = asyncio.create_task(transport.connect())
    await came.wait()
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    with pytest.raises(UnavailableError):
        await transport.connect()
    await transport.close()


async def test_wrong_credentials_fail_immediately() -> None:
    """Connecting with rejected credentials is not retried until the connect timeout."""
    with NatsServer(arguments=["--user", "me", "--pass", "right"]) as server:
        for wrong in ({"user": "me", "password": "wrong"}, {}):
            options = ConnectionOptions(**wrong, connect_timeout=120)
            transport = NatsTransport(server.url, options)
            with pytest.raises(PermissionDeniedError, match="refused the credentials"):
                await asyncio.wait_for(transport.connect(), LIMIT)
            await transport.close()
        async with connected(server.url, ConnectionOptions(user="me", password="right")) as right:
            await right.fence()


@pytest.mark.slow
async def test_send_buffer_for_a_slow_server_is_limited() -> None:
    """Unsent data for a slow server is limited and arrives once the server reads again."""
    patient = "max_pending: 1GB\nwrite_deadline: '60s'\n"  # with a reader on a busy machine
    options = ConnectionOptions(connect_timeout=LIMIT)
    with NatsServer(config=patient) as server:
        await _send_to_stopped(server, options)


async def _send_to_stopped(server: NatsServer, options: ConnectionOptions) -> None:
    async with connected(server.url, options) as transport:
        arrived: list[bytes] = []
        transport.subscribe("event", lambda delivery: arrived.append(delivery.payload[:4]))
        await transport.fence()
        server.pause()
        sent = 0
        with contextlib.suppress(ResourceExhaustedError):
            for sent in range(1_000):
                transport.publish("event", b"%04d" % sent + b"x" * 200_000)
                await asyncio.sleep(0)
        server.resume()
        assert 64 < sent * 200_000 / 2**20 < 128  # what we keep, and what sockets hold
        await transport.fence()
        assert arrived == [b"%04d" % number for number in range(sent)]

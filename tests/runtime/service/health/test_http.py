"""Health probes over HTTP, with a real HTTP client and with raw connections."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import urllib.error
import urllib.request
from errno import EADDRINUSE
from typing import Any

import pytest

from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.waiting import LIMIT, eventually
from weenats import InternalError, NatsService, NatsServiceBuilder
from weenats.protocol.messages import HealthCheckData
from weenats.service.health import http
from weenats.testing import MemoryTransport, NatsServer
from weenats.testing.nats_server import free_ports

ANY = "127.0.0.1:0"


async def get(service: NatsService, path: str, method: str = "GET") -> tuple[int, str]:
    """Return status and body of a request."""
    request = urllib.request.Request(f"{url_of(service)}{path}", method=method)  # noqa: S310

    def read() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as reply:  # noqa: S310
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(read)


def url_of(service: NatsService) -> str:
    """Return the URL of the probes, "" unless they are served."""
    assembly = service._assembly
    return "" if assembly is None or assembly.http is None else assembly.http.url


async def send(service: NatsService, data: bytes) -> bytes:
    """Return what is received after sending bytes, until the service closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url_of(service).split(":")[2]))
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        writer.write(data)
        return await asyncio.wait_for(reader.read(), LIMIT)
    return b""


def in_memory(**options: Any) -> NatsServiceBuilder:
    """Return a builder of a service with probes and without a server."""
    return NatsServiceBuilder(Probe(), transport=MemoryTransport()).with_health(http=ANY, **options)


async def test_probes_from_start_to_stop(nats_url: str) -> None:
    """`/readyz` is 200 only while the service accepts requests, `/livez` as long as it runs."""
    checked, entered, opened = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(key: str, *_: Any) -> Outcome:
        entered.set()
        await opened.wait()
        return Outcome(text=key)

    service = (
        NatsServiceBuilder(Probe(hold=hold), nats_url)
        .with_health(http=ANY, custom_checks=[{"name": "store", "check": checked.wait}])
        .build()
    )
    starting = asyncio.create_task(service.start())
    await eventually(lambda: url_of(service))
    assert await get(service, "/livez") == (200, "ok\n")
    status, text = await get(service, "/readyz")
    assert (status, text.split(",")[0]) == (503, "not ready: it is starting or stopping")
    checked.set()
    await starting
    assert await get(service, "/readyz") == (200, "ok\n")
    async with ProbeClient.connect(nats_url, timeout=LIMIT) as client:
        call = asyncio.create_task(client.run("k", Run(action="hold")))
        await entered.wait()
        stopping = asyncio.create_task(service.stop())
        await eventually(lambda: not service.is_serving)
        assert (await get(service, "/readyz"))[0] == 503
        assert await get(service, "/livez") == (200, "ok\n")
        opened.set()
        await call
        port = int(url_of(service).split(":")[2])
        await stopping
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_failed_check_is_named_without_its_error() -> None:
    """The reason has the names of failed checks, not what they raised."""

    def store() -> bool:
        raise ConnectionError("postgres://user:hunter2@db")

    async with in_memory(custom_checks=[{"name": "store", "check": store}]).build() as service:
        assert await get(service, "/readyz") == (503, "not ready: the check store fails\n")


async def test_lost_connection_is_not_ready() -> None:
    """An instance that is not connected to NATS is not ready, but alive."""
    with NatsServer() as server:
        service = NatsServiceBuilder(Probe(), server.url).with_health(http=ANY).build()
        async with service:
            assert (await get(service, "/readyz"))[0] == 200
            await asyncio.to_thread(server.stop)
            await eventually(lambda: not service.is_connected)
            assert await get(service, "/readyz") == (
                503,
                "not ready: it is not connected to NATS\n",
            )
            assert (await get(service, "/livez"))[0] == 200


async def test_ejected_instance_is_not_ready(nats_url: str) -> None:
    """An instance that has left its queue group says why."""
    handlers = Probe()

    async def fail(*_: Any) -> Any:
        raise ConnectionRefusedError

    handlers.actions["fail"] = fail
    builder = NatsServiceBuilder(handlers, nats_url).with_queue_group("probe", self_eject=True)
    builder = builder.with_circuit_breaker(failure_threshold=1, scope="service")
    async with (
        builder.with_health(http=ANY).build() as service,
        ProbeClient.connect(nats_url) as client,
    ):
        with pytest.raises(InternalError):
            await client.run("k", Run(action="fail"))
        await eventually(lambda: not service.is_member)
        expected = (503, "not ready: the circuit breaker refuses all requests\n")
        assert await get(service, "/readyz") == expected


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/livez", "HEAD", 200),
        ("/livez?verbose", "GET", 200),
        ("/", "GET", 404),
        ("/livez/", "GET", 404),
        ("/readyz", "POST", 405),
        ("/livez", "DELETE", 405),
    ],
)
async def test_other_requests(path: str, method: str, status: int) -> None:
    """Only GET and HEAD of the two paths are answered."""
    async with in_memory().build() as service:
        assert (await get(service, path, method))[0] == status


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n\x00\xff garbage\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx",
        b"POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_malformed_http_does_no_harm(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The connection is closed, nothing is logged, and the next probe is answered."""
    caplog.set_level(logging.INFO)
    async with in_memory().build() as service:
        caplog.clear()
        sending = asyncio.create_task(send(service, data))
        assert await get(service, "/livez") == (200, "ok\n")
        if data.endswith(b"\n"):
            assert (await sending).count(b"HTTP/1.1 200 OK") <= 1
        assert caplog.records == []
        sending.cancel()
        await asyncio.wait([sending])


async def test_slow_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that sends no request is closed after a while."""
    monkeypatch.setattr(http, "_CONNECTION_SECONDS", 0.05)
    async with in_memory().build() as service:
        assert await send(service, b"GET /livez HT") == b""


async def test_connections_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle connections above the limit are closed, not those of probes; a stop closes the rest."""
    monkeypatch.setattr(http, "_MAX_CONNECTIONS", 2)
    async with in_memory().build() as service:
        port = int(url_of(service).split(":")[2])
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        for reader, _ in held[:2]:
            assert await asyncio.wait_for(reader.read(), LIMIT) == b""
        assert await get(service, "/livez") == (200, "ok\n")
    for reader, writer in held:
        assert await asyncio.wait_for(reader.read(), LIMIT) == b""
        writer.close()


async def test_closed_connections_are_forgotten() -> None:
    """Nothing remains of a connection after it was closed, not even its timer."""
    async with in_memory().build() as service:
        assert await get(service, "/livez") == (200, "ok\n")
        assembly = service._assembly
        assert assembly is not None
        assert assembly.http is not None
        server = assembly.http._server
        assert server is not None
        await eventually(lambda: not server.deadlines.deadlines and not server.connections)


async def test_address_in_use_fails_the_start() -> None:
    """The error names the address, and the service is stopped."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        builder = NatsServiceBuilder(Probe(), transport=MemoryTransport())
        service = builder.with_health(http=address).build()
        with pytest.raises(
            OSError, match=f"no health probes on {address}: {os.strerror(EADDRINUSE)}$"
        ):
            await service.start()
        await service.wait_until_stopped()


async def test_unknown_host_fails_the_start() -> None:
    """The error of a name that does not resolve says so."""
    service = (
        NatsServiceBuilder(Probe(), transport=MemoryTransport())
        .with_health(http="nowhere.invalid:0")
        .build()
    )
    with pytest.raises(OSError, match=r"no health probes on nowhere.invalid:0: .*[Nn]ame"):
        await service.start()


async def test_probes_leave_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped service leaves no timer, although connections were open."""
    monkeypatch.setattr(http, "_CONNECTION_SECONDS", 1000.0)
    async with in_memory().build() as service:
        assert await get(service, "/livez") == (200, "ok\n")
        held = await asyncio.open_connection("127.0.0.1", int(url_of(service).split(":")[2]))
    held[1].close()
    assembly = service._assembly
    assert assembly is not None
    assert assembly.http is not None
    assert assembly.http._server is not None
    assert assembly.http._server.deadlines._timer is None


async def test_cancelled_start_leaves_the_port_free() -> None:
    """Whenever starting is cancelled, the port can be used again."""
    [port] = free_ports(1)
    steps = 0
    while True:
        server = http.HealthServer(f"127.0.0.1:{port}", lambda: HealthCheckData(ready=True))
        starting = asyncio.create_task(server.start())
        for _ in range(steps):
            await asyncio.sleep(0)
        is_done = starting.done()
        starting.cancel()
        await asyncio.wait([starting])
        await server.close(LIMIT)
        assert starting.cancelled() or starting.exception() is None
        if is_done:
            break
        steps += 1

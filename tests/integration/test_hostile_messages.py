"""Malformed messages and faulty callbacks do not break the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from testkit.transports import answering, connected, soon
from testkit.waiting import LIMIT
from weenats import NatsTransport
from weenats.protocol.headers import Headers
from weenats.testing import NatsServer
from weenats.transport import Delivery

if TYPE_CHECKING:
    from nats.aio.client import Client as RawClient


@pytest.fixture
async def transport(nats_url: str) -> AsyncIterator[NatsTransport]:
    """A connection that answers on `hostile.echo`."""
    async with connected(nats_url) as opened:
        opened.subscribe("hostile.echo", answering(opened))
        await opened.fence()
        yield opened


async def assert_alive(transport: NatsTransport) -> None:
    """Check that the connection still delivers messages."""
    reply = await transport.request("hostile.echo", b"alive", b"", soon())
    assert reply.payload == b"alive"


async def send(server: NatsServer, frames: bytes) -> None:
    """Send raw protocol bytes to the server and wait until it has processed them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b'CONNECT {"verbose":false,"headers":true}\r\n' + frames + b"PING\r\n")
    await asyncio.wait_for(reader.readuntil(b"PONG\r\n"), LIMIT)
    writer.close()
    await writer.wait_closed()


def frame(block: bytes, payload: bytes = b"x") -> bytes:
    """Return an HPUB frame with this header block."""
    size = len(block)
    return b"HPUB hostile.in %d %d\r\n%b%b\r\n" % (size, size + len(payload), block, payload)


@pytest.mark.parametrize(
    ("block", "headers"),
    [
        (b"NATS/1.0\r\nno colon\r\nA: b\r\n\r\n", {"a": "b"}),
        (b"NATS/1.0\r\nA: \xff\xfe\r\n\r\n", {"a": "\ufffd\ufffd"}),
        (b"NATS/1.0\r\nWee-Timeout: 5", {"wee-timeout": "5"}),
        (b"NATS/1.0\r\nA: b: c\r\na:last", {"a": "last"}),
        (b"nonsense", {}),
        (b"\xff\xfe\r\n\r\n", {}),
        (b"NATS/1.0 \xff\xff\xff\r\n\r\n", {}),
    ],
)
async def test_malformed_header_blocks(
    transport: NatsTransport, nats_server: NatsServer, block: bytes, headers: dict[str, str]
) -> None:
    """Malformed headers raise nothing; readable ones are parsed, and the payload arrives."""
    arrived: asyncio.Queue[Delivery] = asyncio.Queue()
    transport.subscribe("hostile.in", arrived.put_nowait)
    await transport.fence()
    await send(nats_server, frame(block))
    delivery = await asyncio.wait_for(arrived.get(), LIMIT)
    assert delivery.payload == b"x"
    assert dict(delivery.headers) == headers
    assert isinstance(delivery.status, str)
    assert Headers.timeout_of(delivery.block) == headers.get("wee-timeout")
    await assert_alive(transport)


async def test_many_headers(transport: NatsTransport, raw: RawClient) -> None:
    """A hundred headers with non-ASCII values arrive."""
    arrived: asyncio.Queue[Delivery] = asyncio.Queue()
    transport.subscribe("hostile.many", arrived.put_nowait)
    await transport.fence()
    sent = {f"X-{number}": f"wert ä {number}" for number in range(100)}
    await raw.publish("hostile.many", b"", headers=sent)
    delivery = await asyncio.wait_for(arrived.get(), LIMIT)
    assert {name: delivery.headers[name] for name in sent} == sent


@pytest.mark.parametrize("token", [b"\x0b", b"\x0c1", b"\xff", b"\x01", b"%s", b"x" * 2000])
async def test_malformed_subjects(
    transport: NatsTransport, nats_server: NatsServer, token: bytes
) -> None:
    """A malformed subject or reply subject does not break a wildcard subscription."""
    transport.subscribe("hostile.any.*", lambda _: None)
    await transport.fence()
    await send(nats_server, b"PUB hostile.any.%b hostile.%b 1\r\nx\r\n" % (token, token))
    await transport.fence()
    await assert_alive(transport)


@pytest.mark.parametrize("error", [ValueError("boom"), asyncio.CancelledError()])
async def test_callback_exception_is_logged(
    transport: NatsTransport, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """An exception of a callback is logged, and the next messages are delivered."""

    def on_delivery(_: Delivery) -> None:
        raise error

    transport.subscribe("hostile.raise", on_delivery)
    for _ in range(2):
        transport.publish("hostile.raise", b"")
    await transport.fence()
    await assert_alive(transport)
    assert caplog.text.count("unexpected error while handing over a message on hostile.raise") == 2


async def test_cancelled_fence(transport: NatsTransport) -> None:
    """A cancelled fence() disturbs neither later fences nor messages."""
    for _ in range(20):
        fences = [asyncio.create_task(transport.fence()) for _ in range(3)]
        call = asyncio.create_task(assert_alive(transport))
        call.add_done_callback(lambda _, fence=fences[2]: fence.cancel())  # type: ignore[misc]
        asyncio.get_running_loop().call_soon(fences[0].cancel)
        await fences[1]
        await call
        await transport.fence()
    assert fences[0].cancelled()

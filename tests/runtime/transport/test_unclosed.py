"""Connections that programs forget to close."""

from __future__ import annotations

import asyncio
import gc
import warnings
import weakref

import pytest

from testkit.probe import ProbeClient, ProbeSyncClient
from testkit.waiting import until
from weenats.transport import NatsTransport
from weenats.transport.nats_py.connection import NatsConnection


def connection_of(transport: object) -> NatsConnection:
    """Return the connection behind a transport."""
    assert isinstance(transport, NatsTransport)
    connection = transport._connection
    assert connection is not None
    return connection


async def test_forgotten_client_warns_and_closes(nats_url: str) -> None:
    """A client that is collected while it is connected gives a warning, and its connection ends."""
    client = ProbeClient.connect(nats_url).with_timeout(5)
    assert await client.list_instances() == []
    connection = connection_of(client.transport)
    with pytest.warns(ResourceWarning, match="use `async with` or `await close"):  # noqa: PT031 - both free it
        del client
        gc.collect()
    await until(lambda: connection.is_closed)


async def test_closed_clients_do_not_warn(nats_url: str) -> None:
    """Neither a client that was closed nor one that never connected gives a warning."""
    async with ProbeClient.connect(nats_url) as client:
        found = weakref.ref(client.transport)
    unused = ProbeClient.connect(nats_url)
    del client, unused
    gc.collect()
    assert found() is None


async def test_subscription_keeps_its_connection(nats_url: str) -> None:
    """A client of which only a subscription is left goes on, and can be closed through it."""
    transport = NatsTransport(nats_url)
    await transport.connect()
    arrived = asyncio.Event()
    found, connection = weakref.ref(transport), connection_of(transport)
    transport.subscribe("unclosed.x", lambda _: arrived.set())
    await transport.fence()
    del transport
    gc.collect()
    kept = found()
    assert kept is not None
    kept.publish("unclosed.x", b"")
    await arrived.wait()
    await kept.close()
    assert connection.is_closed


def test_forgotten_client_of_an_ended_loop_warns(nats_url: str) -> None:
    """The warning does not need an event loop; a synchronous client gives it, too."""

    async def connect() -> NatsTransport:
        transport = NatsTransport(nats_url)
        await transport.connect()
        return transport

    sync = ProbeSyncClient.connect(nats_url)
    assert sync.list_instances() == []
    with pytest.warns(ResourceWarning, match="the connection to NATS at"):  # noqa: PT031 - both free it
        del sync
        gc.collect()
    transport = asyncio.run(connect())
    # Beside those of the socket and of the event loop.
    with warnings.catch_warnings(record=True, action="always") as caught:
        del transport
        gc.collect()
    assert any("the connection to NATS at" in str(each.message) for each in caught)

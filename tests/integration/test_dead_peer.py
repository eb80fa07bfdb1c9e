"""A peer that stops responding while much data is left to be sent to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from testkit.probe import Happened, ProbeClient
from testkit.tcp_proxy import TcpProxy
from testkit.transports import FAST, connected, disconnected, reconnected
from testkit.waiting import LIMIT, settle, until
from weenats import (
    ConnectionLostError,
    ConnectionOptions,
    DeadlineExceededError,
    NatsTransport,
    ReceivedEvent,
)
from weenats.discovery import list_instances
from weenats.testing import NatsServer

MORE_THAN_SOCKETS_HOLD = 40
PIECE = b"x" * 900_000
PATIENT = ConnectionOptions(connect_timeout=10 * LIMIT)
"""With it a fence waits longer than a test."""


@asynccontextmanager
async def stalled(
    server: NatsServer, options: ConnectionOptions = FAST
) -> AsyncIterator[tuple[TcpProxy, NatsTransport]]:
    """Connect through a proxy that then carries nothing; it is cut before the connection closes."""
    async with (
        TcpProxy(server.port) as link,
        connected(f"nats://127.0.0.1:{link.port}", options) as transport,
    ):
        link.stall()
        yield link, transport
        link.cut()


def overfill(transport: NatsTransport) -> None:
    """Send more than the sockets can buffer."""
    for _ in range(MORE_THAN_SOCKETS_HOLD):
        transport.publish("big", PIECE)


async def test_unresponsive_peer_triggers_a_reconnect(nats_server: NatsServer) -> None:
    """After missed pings the connection is dropped with its unsent data and opened again."""
    options = ConnectionOptions(reconnect_wait=0.02, ping_interval=0.05)
    async with stalled(nats_server, options) as (link, transport):
        overfill(transport)
        await disconnected(transport)
        link.cut()
        await reconnected(transport)
        async with asyncio.timeout(LIMIT):
            await transport.close()


async def test_closing_does_not_wait_for_a_stalled_peer(nats_server: NatsServer) -> None:
    """close() ends in bounded time, whatever the peer has not read."""
    async with stalled(nats_server, replace(PATIENT, close_timeout=0.05)) as (_, transport):
        overfill(transport)
        await asyncio.wait_for(transport.close(), LIMIT)


async def test_a_silent_peer_is_waited_for_once(nats_server: NatsServer) -> None:
    """After a fence gave up, what follows does not wait as long again, until the peer answers."""
    async with stalled(nats_server, PATIENT) as (link, transport):
        silent = transport._connection
        assert silent is not None
        with pytest.raises(ConnectionLostError):
            await silent.fence(0.01)
        with pytest.raises(ConnectionLostError, match="does not answer"):
            await asyncio.wait_for(transport.fence(), LIMIT)
        link.heal()
        await until(lambda: not silent._pongs)
        await transport.fence()


async def test_fence_of_a_connection_that_breaks(nats_server: NatsServer) -> None:
    """It says that the connection broke, and later fences are as patient as before."""
    async with stalled(nats_server, PATIENT) as (_, transport):
        connection = transport._connection
        assert connection is not None
        waiting = asyncio.create_task(connection.fence(LIMIT))
        await settle()
        assert connection._reading_task is not None
        connection._reading_task.cancel()
        with pytest.raises(ConnectionLostError, match="broke"):
            await waiting
        assert not connection._is_silent


async def test_cancelled_subscribe_beside_a_stalled_peer(nats_server: NatsServer) -> None:
    """subscribe() waits for the server once: when it gives up, it ends at once."""
    async with stalled(nats_server, PATIENT) as (_, transport):

        async def handle(event: ReceivedEvent[Happened]) -> None:
            """Handle nothing: no event arrives."""

        assert transport._connection is not None
        pongs, interests = transport._connection._pongs, transport._connection._interests
        subscribing = asyncio.create_task(ProbeClient(transport).subscribe_happened(handle))
        await until(lambda: pongs)
        subscribing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(subscribing, LIMIT)
        assert not interests


async def test_listing_ends_in_time_beside_a_stalled_peer(nats_server: NatsServer) -> None:
    """A listing takes no longer than its time limit, and leaves no subscription."""
    async with stalled(nats_server) as (_, transport):
        with pytest.raises(DeadlineExceededError):
            await list_instances(transport, "probe", timeout=0.05)
        connection = transport._connection
        assert connection is not None
        assert connection.interests == []

"""What tests of transports say often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

import pytest

from weenats import ConnectionLostError, ConnectionOptions, NatsTransport
from weenats.transport import OnDelivery, Transport

FAST: Final = ConnectionOptions(reconnect_wait=0.02)
"""Does not wait long before it tries again."""


def soon() -> float:
    """Return a deadline that is far enough."""
    return monotonic() + 10


async def fence_all(*transports: Transport) -> None:
    """Wait until what each of them sent has reached the ones behind it."""
    for transport in transports:
        await transport.fence()


def answering(transport: Transport, payload: bytes = b"") -> OnDelivery:
    """Reply with a payload, or with that of the request."""
    return lambda delivery: transport.publish(delivery.reply, payload or delivery.payload)


@asynccontextmanager
async def connected(
    servers: str | list[str], options: ConnectionOptions = FAST
) -> AsyncIterator[NatsTransport]:
    """Connect, and close afterwards."""
    transport = NatsTransport(servers, options)
    try:
        await transport.connect()
        yield transport
    finally:
        await transport.close()


async def disconnected(transport: NatsTransport) -> None:
    """Wait until the transport has noticed that its connection is gone."""

    async def fence_on() -> None:
        while True:
            await transport.fence()

    with pytest.raises(ConnectionLostError):
        await asyncio.wait_for(fence_on(), 5)


async def reconnected(transport: NatsTransport) -> None:
    """Wait until the transport is connected again."""
    interest = transport.subscribe("back", answering(transport))
    await transport.request("back", b"", b"", soon())
    await transport.unsubscribe([interest])

"""Connections of tests, and waiting for what happens to them."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final

import pytest

from testkit.waiting import LIMIT, until
from weenats import (
    ConnectionLostError,
    ConnectionOptions,
    NatsTransport,
    NoRespondersError,
    UnavailableError,
)
from weenats.transport import Delivery, OnDelivery, Transport

FAST: Final = ConnectionOptions(reconnect_wait=0.02)
"""Reconnects soon."""


def soon() -> float:
    """Return a deadline that is never exceeded unless something is wrong."""
    return monotonic() + LIMIT


async def fence_all(*transports: Transport) -> None:
    """Wait until what each of them has sent was delivered to those after it."""
    for transport in transports:
        await transport.fence()


def answering(transport: Transport, payload: bytes = b"") -> OnDelivery:
    """Return a callback that replies with a payload, that of the request by default."""
    return lambda delivery: transport.publish(delivery.reply, payload or delivery.payload)


@asynccontextmanager
async def connected(
    servers: str | list[str], options: ConnectionOptions = FAST
) -> AsyncIterator[NatsTransport]:
    """Connect to NATS, and close the connection afterwards."""
    transport = NatsTransport(servers, options)
    try:
        await transport.connect()
        yield transport
    finally:
        await transport.close()


async def check_refusal(url: str, reason: str, **options: Any) -> None:
    """Check why connecting fails; an attempt that a busy machine cannot finish has more time.

    Args:
        url: of the server.
        reason: a regular expression.
        options: of the connection.
    """
    timeout = 0.1
    while True:
        impatient = ConnectionOptions(reconnect_wait=0.02, connect_timeout=timeout, **options)
        with pytest.raises(UnavailableError) as refused:
            await NatsTransport(url, impatient).connect()
        if re.search(reason, refused.value.message):
            return
        assert timeout < LIMIT, refused.value.message
        timeout *= 2


async def disconnected(transport: NatsTransport) -> None:
    """Wait until the transport has noticed that its connection is gone."""

    async def fence_on() -> None:
        while True:
            await transport.fence()

    with pytest.raises(ConnectionLostError):
        await asyncio.wait_for(fence_on(), LIMIT)
    await until(lambda: not transport.is_connected)


async def reconnected(transport: NatsTransport) -> None:
    """Wait until the transport is connected again."""
    interest = transport.subscribe("back", answering(transport))
    await request_again(transport, "back")
    await transport.unsubscribe([interest])


async def request_again(transport: Transport, subject: str, payload: bytes = b"") -> Delivery:
    """Request until the connection does not break meanwhile, and return the reply.

    On a busy machine short ping intervals may end a connection that is good.
    """
    async with asyncio.timeout(LIMIT):
        while True:
            with contextlib.suppress(ConnectionLostError):
                return await transport.request(subject, payload, b"", soon())


async def request_routed(transport: Transport, subject: str, payload: bytes = b"") -> Delivery:
    """Request from a responder at another server of the cluster, and return its reply.

    A fence says that the responder's own server knows its subscription; the other servers learn
    of it soon afterwards.
    """
    async with asyncio.timeout(LIMIT):
        while True:
            with contextlib.suppress(NoRespondersError):
                return await transport.request(subject, payload, b"", soon())

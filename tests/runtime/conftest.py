"""Fixtures that open both transports, for tests that compare them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from weenats import NatsTransport
from weenats.testing import MemoryBroker, MemoryTransport
from weenats.transport import Transport

Opener = Callable[[], Transport]


@pytest.fixture(params=["nats", "memory"])
async def opener(request: pytest.FixtureRequest, nats_url: str) -> AsyncIterator[Opener]:
    """A factory of unconnected transports to the same broker."""
    broker = MemoryBroker()
    opened: list[Transport] = []

    def new() -> Transport:
        opened.append(
            NatsTransport(nats_url) if request.param == "nats" else MemoryTransport(broker)
        )
        return opened[-1]

    yield new
    for transport in opened:
        await transport.close()


@pytest.fixture
async def caller(opener: Opener) -> Transport:
    """A transport that publishes and sends requests."""
    transport = opener()
    await transport.connect()
    return transport


@pytest.fixture
async def listener(opener: Opener) -> Transport:
    """A second transport to the same broker."""
    transport = opener()
    await transport.connect()
    return transport


@pytest.fixture
def subject() -> str:
    """A subject that no other test uses."""
    return f"test.{uuid4().hex}"

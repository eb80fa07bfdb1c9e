"""A connection to JetStream, and a stream for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from weenats import NatsTransport
from weenats.testing import MemoryTransport
from weenats.transport.jetstream import JetStream, StreamConfig


@pytest.fixture
async def transport(nats_url: str) -> AsyncIterator[NatsTransport]:
    """A connection to the shared server."""
    transport = NatsTransport(nats_url)
    yield transport
    await transport.close()


@pytest.fixture
def jetstream(transport: NatsTransport) -> JetStream:
    """JetStream of the shared server."""
    return JetStream(transport)


@pytest.fixture(params=["server", "memory"])
async def either_jetstream(
    request: pytest.FixtureRequest, transport: NatsTransport
) -> AsyncIterator[JetStream]:
    """JetStream of the shared server, and that in memory, which behaves alike."""
    if request.param == "server":
        yield JetStream(transport)
        return
    memory = MemoryTransport()
    yield JetStream(memory)
    await memory.close()


@pytest.fixture
async def stream(jetstream: JetStream) -> AsyncIterator[str]:
    """A stream in memory that stores the subjects below its name."""
    name = f"s{uuid4().hex}"
    await jetstream.create_stream(StreamConfig(name, (f"{name}.>",), storage="memory"))
    yield name
    await jetstream.delete_stream(name)

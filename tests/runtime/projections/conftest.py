"""A server with the streams of parcels; nothing takes long."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from testkit.parcels import Delivered, ParcelsClient, parcel_streams
from testkit.projections import remove_projection
from weenats import NatsTransport
from weenats.projections import builder, running

Deliver = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks and pauses are short."""
    monkeypatch.setattr(running, "CHECK", 0.02)
    monkeypatch.setattr(running, "GRACE", 0.1)
    monkeypatch.setattr(running, "_PAUSES", (0.01, 0.02))
    monkeypatch.setattr(builder, "CHECK", 0.02)
    monkeypatch.setattr(builder, "IDLE", 0.1)


@pytest.fixture
async def transport(nats_url: str) -> AsyncIterator[NatsTransport]:
    """A connection to a server with the streams of parcels, without projections."""
    await remove_projection(nats_url)
    async with parcel_streams(nats_url) as transport:
        yield transport
    await remove_projection(nats_url)


@pytest.fixture
def deliver(transport: NatsTransport) -> Deliver:
    """Publish events: the numbers from 1, those of two keys in turn."""
    parcels = ParcelsClient(transport)

    async def deliver(*counts: int) -> None:
        for count in counts:
            await parcels.publish_delivered(f"p-{count % 2}", Delivered(count=count))

    return deliver

"""A connection to a server with the streams of parcels."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from testkit.parcels import ParcelsClient, parcel_streams
from weenats import NatsTransport


@pytest.fixture
async def transport(nats_url: str) -> AsyncIterator[NatsTransport]:
    """A connection to a server with the streams of parcels."""
    async with parcel_streams(nats_url) as transport:
        yield transport


@pytest.fixture
def parcels(transport: NatsTransport) -> ParcelsClient:
    """A client of parcels."""
    return ParcelsClient(transport)

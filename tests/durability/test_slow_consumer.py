"""Consumers that hang while events arrive: the server drops their connection, and no event."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest

from testkit.forks import fork
from testkit.parcels import MOVED, Delivered, ParcelsClient, Recorder, parcel_streams
from testkit.waiting import eventually
from weenats import NatsTransport
from weenats.events import consume
from weenats.testing import NatsServer
from weenats.transport.jetstream import pull

_EVENTS = 20
_CHUNK = b"x" * 100_000


@pytest.fixture
def impatient_server() -> Iterator[NatsServer]:
    """A server that drops connections which do not read."""
    with NatsServer(config='max_pending: 1100000, write_deadline: "100ms"') as server:
        yield server


def serve(pipe: Connection, url: str) -> None:
    """Process events, and subscribe to others; hang with the first until the test says `go on`."""
    # How long the server delivers events to an instance that hangs.
    vars(pull).update(_EXPIRES=1.0, _HEARTBEAT=0.4)
    has_hung = False

    async def act(event: Any) -> None:
        nonlocal has_hung
        pipe.send(event.data.count)
        if not has_hung:
            has_hung = True
            assert pipe.recv() == "go on"

    async def run() -> None:
        transport = NatsTransport(url)
        await transport.connect()
        transport.subscribe(MOVED.subject, lambda delivery: None)
        await consume(transport, Recorder(act), "billing", ack_wait=1.0)
        await asyncio.Event().wait()

    asyncio.run(run())


async def test_consumer_that_does_not_read(impatient_server: NatsServer) -> None:
    """It is dropped, connects again, and processes what came meanwhile."""
    url = impatient_server.url
    async with parcel_streams(url) as transport:
        parcels = ParcelsClient(transport)
        with fork(serve, url) as consumer:
            await parcels.publish_delivered("p-1", Delivered(count=0))
            assert await consumer.receive() == 0
            while "Slow Consumer" not in impatient_server.log():
                transport.publish(MOVED.subject, _CHUNK)
                await transport.fence()
            for count in range(1, _EVENTS):
                await parcels.publish_delivered(f"p-{count % 3}", Delivered(count=count))
            consumer.pipe.send("go on")
            seen = {0}
            while len(seen) < _EVENTS:
                seen.add(await consumer.receive())
            assert seen == set(range(_EVENTS))


async def test_consumer_that_hangs(own_nats_server: NatsServer) -> None:
    """Its event goes to another instance; when it goes on, its late answer changes nothing."""
    url = own_nats_server.url
    async with parcel_streams(url) as transport:
        parcels = ParcelsClient(transport)
        seen: list[int] = []

        async def act(event: Any) -> None:
            seen.append(event.data.count)

        with fork(serve, url) as consumer:
            for count in range(_EVENTS):
                await parcels.publish_delivered("p-1", Delivered(count=count))
            assert await consumer.receive() == 0
            async with await consume(transport, Recorder(act), "billing", ack_wait=1.0):
                await eventually(lambda: len({*seen}) == _EVENTS)
                assert seen == sorted(seen)
            consumer.pipe.send("go on")
            await parcels.publish_delivered("p-1", Delivered(count=_EVENTS))
            late = await consumer.receive()
            while late != _EVENTS:
                late = await consumer.receive()

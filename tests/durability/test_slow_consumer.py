"""Consumers that hang while events arrive: the server drops their connection, and no event."""

from __future__ import annotations

import asyncio
import signal
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
    """Process events, and subscribe to others."""
    # How long the server delivers events to an instance that hangs.
    vars(pull).update(_EXPIRES=1.0, _HEARTBEAT=0.4)

    async def act(event: Any) -> None:
        pipe.send(event.data.count)

    async def run() -> None:
        transport = NatsTransport(url)
        await transport.connect()
        transport.subscribe(MOVED.subject, lambda delivery: None)
        await consume(transport, Recorder(act), "billing", ack_wait=1.0)
        pipe.send("consumes")
        await asyncio.Event().wait()

    asyncio.run(run())


async def test_consumer_that_does_not_read(impatient_server: NatsServer) -> None:
    """It is dropped, connects again, and processes what came meanwhile."""
    url = impatient_server.url
    async with parcel_streams(url) as transport:
        parcels = ParcelsClient(transport)
        with fork(serve, url) as consumer:
            assert await consumer.receive() == "consumes"
            await parcels.publish_delivered("p-1", Delivered(count=0))
            assert await consumer.receive() == 0
            consumer.signal(signal.SIGSTOP)
            try:
                while "Slow Consumer" not in impatient_server.log():
                    transport.publish(MOVED.subject, _CHUNK)
                    await transport.fence()
                for count in range(1, _EVENTS):
                    await parcels.publish_delivered(f"p-{count % 3}", Delivered(count=count))
            finally:
                consumer.signal(signal.SIGCONT)
            seen: set[int] = set()
            while len(seen) < _EVENTS - 1:
                seen.add(await consumer.receive())
            assert seen == set(range(1, _EVENTS))


async def test_consumer_that_hangs(own_nats_server: NatsServer) -> None:
    """Its event goes to another instance; when it goes on, its late answer changes nothing."""
    url = own_nats_server.url
    async with parcel_streams(url) as transport:
        parcels = ParcelsClient(transport)
        seen: list[int] = []

        async def act(event: Any) -> None:
            seen.append(event.data.count)

        with fork(serve, url) as consumer:
            assert await consumer.receive() == "consumes"
            consumer.signal(signal.SIGSTOP)
            try:
                for count in range(_EVENTS):
                    await parcels.publish_delivered("p-1", Delivered(count=count))
                async with await consume(transport, Recorder(act), "billing", ack_wait=1.0):
                    await eventually(lambda: len({*seen}) == _EVENTS)
                    assert seen == sorted(seen)
            finally:
                consumer.signal(signal.SIGCONT)
            await parcels.publish_delivered("p-1", Delivered(count=_EVENTS))
            late = await consumer.receive()
            while late != _EVENTS:
                late = await consumer.receive()

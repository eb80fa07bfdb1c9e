"""A consumer that begins with very many events behind it: it takes a bounded share of them."""

from __future__ import annotations

import os
from time import monotonic
from typing import Any

import pytest

from testkit.chaos.resources import own_usage
from testkit.parcels import (
    PARCELS_EVENTS_STREAM,
    Delivered,
    ParcelsClient,
    Recorder,
    parcel_streams,
)
from testkit.waiting import eventually
from weenats.events import consume
from weenats.streams.consumer_states import consumer_states
from weenats.testing import NatsServer
from weenats.transport.jetstream import JetStream

COUNT = int(os.environ.get("COUNT") or 100_000)
_PROCESSED = 500
_MEGABYTE = 1e6


@pytest.mark.timing
@pytest.mark.timeout(1200)
async def test_many_pending_events(own_nats_server: NatsServer) -> None:
    """Events are processed within seconds, in order, without reading all; 1,000,000 by COUNT=."""
    async with parcel_streams(own_nats_server.url) as transport:
        jetstream = JetStream(transport)
        await ParcelsClient(transport).publish_delivered("p-1", Delivered(count=1))
        name, partitions = PARCELS_EVENTS_STREAM.name, PARCELS_EVENTS_STREAM.partitions
        event = await jetstream.get(name, 1)
        begin = monotonic()
        for number in range(1, COUNT):
            subject = f"parcels.stream.{number % partitions}.parcel.delivered"
            transport.publish(subject, event.payload)
            if number % 1000 == 0:
                await transport.fence()
        while (await jetstream.stream_info(name)).messages < COUNT:
            pass
        stored, before = monotonic() - begin, own_usage().resident
        sequences: list[int] = []

        async def act(event: Any) -> None:
            sequences.append(event.sequence)

        begin = monotonic()
        async with await consume(transport, Recorder(act), "billing"):
            await eventually(lambda: sequences)
            first = monotonic() - begin
            [state] = await consumer_states(transport, PARCELS_EVENTS_STREAM)
            await eventually(lambda: len(sequences) >= _PROCESSED)
            processed = monotonic() - begin
        grown = (own_usage().resident - before) / _MEGABYTE
        print(
            f"{COUNT:,} events stored in {stored:.0f} s, the first one processed in {first:.2f} s"
        )
        print(f"{_PROCESSED} in {processed:.2f} s; memory grew by {grown:.1f} MB")
        assert COUNT - state.pending < len(sequences) + 32
        for partition in range(partitions):
            own = [each for each in sequences if each > 1 and (each - 1) % partitions == partition]
            assert own == sorted(own)
        assert grown < 50
        assert first < 20

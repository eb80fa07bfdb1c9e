"""Streams that are full, deleted or changed while a service runs: nothing is lost or made up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from testkit.parcels import (
    PARCELS_EVENTS_STREAM,
    Delivered,
    ParcelsClient,
    Recorder,
    parcel_streams,
)
from testkit.waiting import ask_until, eventually
from testkit.wallets import builder, client, wallets
from weenats import (
    InternalError,
    NatsTransport,
    ResourceExhaustedError,
    UnavailableError,
    new_message_id,
)
from weenats.events import consume
from weenats.streams import apply_streams, plan_streams
from weenats.testing import NatsServer
from weenats.transport.jetstream import JetStream

Amount = wallets.Amount
COMMITS, EVENTS = "wallets-commits", "wallets-events"


@pytest.fixture
async def transport(own_nats_server: NatsServer) -> AsyncIterator[NatsTransport]:
    """The connection of an operator."""
    transport = NatsTransport(own_nats_server.url)
    yield transport
    await transport.close()


@pytest.fixture
async def caller(own_nats_server: NatsServer) -> AsyncIterator[Any]:
    """A client of an instance that remembers no states."""
    url = own_nats_server.url
    async with builder(url).with_aggregates(cache_size=0).build(), client(url) as connected:
        yield connected


async def change(transport: NatsTransport, stream: str, **settings: Any) -> None:
    """Change settings of a stream, as an operator does."""
    jetstream = JetStream(transport)
    info = await jetstream.stream_info(stream)
    await jetstream.update_stream(replace(info.config, **settings))


async def test_full_stream_of_commits(caller: Any, transport: NatsTransport) -> None:
    """Commands fail at once and change nothing; repeated when there is room, they count once."""
    await caller.deposit("a", Amount(cents=1))
    await change(transport, COMMITS, max_messages=1)
    message_id = new_message_id()
    with pytest.raises(UnavailableError, match="cannot be read or stored now"):
        await caller.deposit("a", Amount(cents=10), message_id=message_id)
    assert (await caller.get_wallet("a")).state.balance == 1
    await change(transport, COMMITS, max_messages=None)
    for _ in range(2):
        wallet = await caller.deposit("a", Amount(cents=10), message_id=message_id)
        assert wallet.balance == 11


async def test_commit_that_the_stream_does_not_take(caller: Any, transport: NatsTransport) -> None:
    """Where messages are limited, commands fail at once without a subject, and change nothing."""
    await caller.deposit("a", Amount(cents=1))
    info = await JetStream(transport).stream_info(COMMITS)
    await change(transport, COMMITS, other={**info.config.other, "max_msg_size": 100})
    with pytest.raises(ResourceExhaustedError) as raised:
        await caller.deposit("a", Amount(cents=10))
    assert raised.value.message == (
        "the events of wallet and the reply of the command are larger than the server stores in"
        " one message"
    )
    assert (await caller.get_wallet("a")).state.balance == 1


async def test_stream_that_forgets_commits(
    caller: Any, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an operator lets old commits be removed, no state is made of those that are left."""
    monkeypatch.setattr("weenats.aggregates.history._LATE", (0.01,) * 4)
    for _ in range(3):
        await caller.deposit("a", Amount(cents=1))
    await change(transport, COMMITS, max_messages_per_subject=1)
    with pytest.raises(InternalError):
        await caller.get_wallet("a")
    with pytest.raises(InternalError):
        await caller.deposit("a", Amount(cents=1))


@pytest.mark.parametrize("fault", ["full", "deleted"])
async def test_stream_of_events_that_takes_nothing(
    caller: Any, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Commands go on; their events are stored later, once and in order."""
    monkeypatch.setattr("weenats.aggregates.relay._AGAIN", 0.01)
    jetstream = JetStream(transport)
    if fault == "full":
        await change(transport, EVENTS, max_messages=1)
    else:
        await jetstream.delete_stream(EVENTS)
    for cents in range(1, 6):
        await caller.deposit("a", Amount(cents=cents))
    await apply_streams(transport, await plan_streams(transport, wallets.CONTRACT.streams))

    async def revisions() -> list[int]:
        events = jetstream.read(EVENTS)
        return [json.loads(each.payload)["revision"] async for each in events]

    assert await ask_until(lambda found: len(found) >= 5, revisions) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("fault", ["purged", "limited"])
async def test_events_that_an_operator_removes(own_nats_server: NatsServer, fault: str) -> None:
    """Consumers go on with what is left, in order."""
    async with parcel_streams(own_nats_server.url) as transport:
        parcels, recorder = ParcelsClient(transport), Recorder()
        for count in range(6):
            await parcels.publish_delivered("p-1", Delivered(count=count))
        stream = PARCELS_EVENTS_STREAM.name
        if fault == "purged":
            await JetStream(transport).purge(stream)
        else:
            await change(transport, stream, max_messages=2, discard="old")
        async with await consume(transport, recorder, "billing"):
            for count in range(6, 8):
                await parcels.publish_delivered("p-1", Delivered(count=count))
            await eventually(lambda: ("p-1", 7) in recorder.seen)
    found = [count for _, count in recorder.seen]
    assert found == sorted({*found})
    assert found[-2:] == [6, 7]
    assert found[0] >= 4

"""Storing durable events: acknowledged in bounded time, or a typed error that says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from testkit.parcels import (
    PARCELS_EVENTS_STREAM,
    DepotClosed,
    Hired,
    Moved,
    Parcels,
    ParcelsClient,
    ParcelsSyncClient,
    Shipped,
    parcel_streams,
)
from testkit.waiting import LIMIT, until
from weenats import (
    DeadlineExceededError,
    InvalidArgumentError,
    NatsServiceBuilder,
    NatsTransport,
    UnavailableError,
)
from weenats.events import ReceivedEvent
from weenats.protocol.partitions import partition_of
from weenats.streams.store import store
from weenats.testing import MemoryTransport, NatsServer
from weenats.transport.jetstream import (
    JetStream,
    JetStreamUnavailableError,
    StreamFullError,
    StreamMissingError,
    WrongStreamError,
)
from weenats.transport.jetstream.errors import api_error

STREAM = PARCELS_EVENTS_STREAM


@pytest.fixture
async def transport(nats_url: str) -> AsyncIterator[NatsTransport]:
    """A connection to a server with the streams of parcels."""
    async with parcel_streams(nats_url) as transport:
        yield transport


async def test_a_durable_event_is_stored(transport: NatsTransport) -> None:
    """It is in its stream when publishing returns, in the partition of its key, with its id."""
    client = ParcelsClient(transport)
    await client.publish_shipped("p-1", Shipped(depot="A"), headers={"Trace": "1"}, revision=3)
    await client.publish_depot_closed(DepotClosed(depot="A"))
    stored = await JetStream(transport).get(STREAM.name, 1)
    assert stored.subject == f"parcels.stream.{partition_of('p-1', 4)}.parcel.shipped"
    assert stored.headers["Trace"] == "1"
    assert stored.headers["Nats-Msg-Id"].encode() in stored.payload
    assert (await JetStream(transport).get(STREAM.name, 2)).subject.endswith("0.depot-closed")
    courier = uuid4()
    await client.publish_hired(courier, Hired(name="Ann"))
    assert (await JetStream(transport).stream_info("couriers")).messages == 1


async def test_core_subscribers_get_stored_events(transport: NatsTransport) -> None:
    """They get each event after it was stored, on the subject that events have."""
    client = ParcelsClient(transport)
    received: list[ReceivedEvent[Shipped]] = []

    async def on_shipped(event: ReceivedEvent[Shipped]) -> None:
        received.append(event)

    async with await client.subscribe_shipped(on_shipped):
        await client.publish_shipped("p-1", Shipped(depot="A"))
        await until(lambda: received)
    assert (received[0].key, received[0].data.depot, received[0].sequence) == ("p-1", "A", None)


async def test_other_events_are_not_stored(transport: NatsTransport) -> None:
    """An event that is not durable needs no stream."""
    await ParcelsClient(transport).publish_moved("p-1", Moved(place="B"))
    await transport.fence()
    assert (await JetStream(transport).stream_info(STREAM.name)).messages == 0


def test_synchronous_clients_store_events(nats_url: str) -> None:
    """Their methods wait as well."""

    async def count() -> int:
        async with parcel_streams(nats_url) as transport:

            def publish() -> None:
                with ParcelsSyncClient.connect(nats_url, verify="off") as client:
                    client.publish_shipped("p-1", Shipped(depot="A"))

            await asyncio.to_thread(publish)
            return (await JetStream(transport).stream_info(STREAM.name)).messages

    assert asyncio.run(count()) == 1


async def test_without_a_stream_the_error_says_what_to_do(nats_url: str) -> None:
    """Publishing fails at once and names the command."""
    transport = NatsTransport(nats_url)
    with pytest.raises(StreamMissingError, match="run `weenats streams apply CONTRACT`"):
        await ParcelsClient(transport).publish_shipped("p-1", Shipped(depot="A"))
    await transport.close()


async def test_in_memory_subscribers_get_durable_events() -> None:
    """A MemoryTransport acknowledges an event, hands it to subscribers once, and keeps nothing."""
    transport = MemoryTransport()
    client = ParcelsClient(transport)
    received: list[ReceivedEvent[Shipped]] = []

    async def on_shipped(event: ReceivedEvent[Shipped]) -> None:
        received.append(event)

    async with await client.subscribe_shipped(on_shipped):
        await client.publish_shipped("p-1", Shipped(depot="A"))
        subject = "parcels.stream.0.parcel.shipped"
        acks = [await store(transport, STREAM, subject, b"{}", b"", message_id="m-1") for _ in "ab"]
        await until(lambda: received)
    assert [(each.sequence, each.duplicate) for each in acks] == [(2, False), (2, True)]
    assert [each.data.depot for each in received] == ["A"]
    with pytest.raises(StreamMissingError):
        await JetStream(transport).stream_info(STREAM.name)
    with pytest.raises(StreamMissingError):
        await JetStream(transport).publish("a.stream.b.c", b"")
    await transport.close()


async def test_in_memory_streams_hand_events_on() -> None:
    """In memory, too, subscribers get once what a stream that a service has created stores."""
    transport, handlers = MemoryTransport(), Parcels()
    client = ParcelsClient(transport)
    received: asyncio.Queue[ReceivedEvent[Shipped]] = asyncio.Queue()
    service = NatsServiceBuilder(handlers, transport=transport).build()
    async with service, await client.subscribe_shipped(received.put):
        await handlers.publish_shipped("p-1", Shipped(depot="A"))
        assert (await received.get()).data.depot == "A"
        assert (await JetStream(transport).stream_info(STREAM.name)).messages == 1
    assert received.empty()


async def test_a_full_stream_refuses_events(transport: NatsTransport) -> None:
    """Nothing is removed to make room."""
    jetstream = JetStream(transport)
    info = await jetstream.stream_info(STREAM.name)
    await jetstream.update_stream(replace(info.config, max_messages=1))
    client = ParcelsClient(transport)
    await client.publish_shipped("p-1", Shipped(depot="A"))
    with pytest.raises(StreamFullError):
        await client.publish_shipped("p-1", Shipped(depot="B"))


async def test_another_stream_is_noticed(transport: NatsTransport) -> None:
    """A subject that another stream stores is an error."""
    with pytest.raises(WrongStreamError):
        await store(transport, STREAM, "parcels.stream.0.courier.hired", b"{}", b"", message_id="1")


async def test_an_event_is_stored_once_over_a_restart(own_nats_server: NatsServer) -> None:
    """Publishing goes on when the server restarts meanwhile; the event is there once."""
    async with parcel_streams(own_nats_server.url) as transport:
        client = ParcelsClient(transport)
        own_nats_server.pause()
        publishing = asyncio.create_task(
            client.publish_shipped("p-1", Shipped(depot="A"), timeout=LIMIT)
        )
        await asyncio.sleep(0)
        own_nats_server.resume()
        own_nats_server.restart()
        await publishing
        assert (await JetStream(transport).stream_info(STREAM.name)).messages == 1


@pytest.mark.parametrize(
    "error", [DeadlineExceededError(), api_error({"err_code": 10158, "code": 409}, "x")]
)
async def test_an_event_whose_acknowledgement_is_lost_is_sent_again(
    transport: NatsTransport, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A stream that gets replicas or another leader may not answer; the event is there once.

    It may say that it still stores the one that was sent before.
    """
    publish = JetStream.publish
    waited: list[float] = []

    async def loses_the_answer(js: JetStream, *parts: Any, timeout: float, **more: Any) -> Any:
        monkeypatch.setattr(JetStream, "publish", publish)
        waited.append(timeout)
        await publish(js, *parts, timeout=timeout, **more)
        raise error

    monkeypatch.setattr(JetStream, "publish", loses_the_answer)
    await ParcelsClient(transport).publish_shipped("p-1", Shipped(depot="A"), timeout=LIMIT)
    assert waited == [2]
    assert (await JetStream(transport).stream_info(STREAM.name)).messages == 1


async def test_publishing_ends_in_time(own_nats_server: NatsServer) -> None:
    """A server that hangs or is gone makes publishing fail within its timeout."""
    async with parcel_streams(own_nats_server.url) as transport:
        client = ParcelsClient(transport)
        own_nats_server.pause()
        with pytest.raises(DeadlineExceededError):
            await client.publish_shipped("p-1", Shipped(depot="A"), timeout=0.1)
        own_nats_server.resume()
        own_nats_server.kill()
        with pytest.raises((UnavailableError, DeadlineExceededError)):
            await client.publish_shipped("p-1", Shipped(depot="A"), timeout=0.2)
        own_nats_server.start()


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
async def test_the_timeout_is_checked(transport: NatsTransport, timeout: float) -> None:
    """A timeout that is not positive is refused."""
    with pytest.raises(InvalidArgumentError, match="timeout must be a positive number"):
        await ParcelsClient(transport).publish_shipped("p", Shipped(depot="A"), timeout=timeout)


@pytest.mark.parametrize("leader", ["", "behind-a-broken-route"])
async def test_a_stream_without_a_leader_is_waited_for(
    transport: NatsTransport, monkeypatch: pytest.MonkeyPatch, leader: str
) -> None:
    """The event is stored once one is reached; without one publishing fails in time."""
    publish, info = JetStream.publish, await JetStream(transport).stream_info(STREAM.name)
    elections: list[object] = []
    patience: list[float] = []

    async def has_no_leader(*_: object, **__: object) -> object:
        elections.append(None)
        raise StreamMissingError

    async def knows_no_leader(js: JetStream, _: str) -> object:
        patience.append(js._timeout)
        monkeypatch.setattr(JetStream, "stream_info", times_out)
        return replace(info, leader=leader)

    async def times_out(*_: object) -> object:
        monkeypatch.setattr(JetStream, "publish", publish)
        raise DeadlineExceededError

    monkeypatch.setattr(JetStream, "publish", has_no_leader)
    monkeypatch.setattr(JetStream, "stream_info", knows_no_leader)
    client = ParcelsClient(transport)
    await client.publish_shipped("p-1", Shipped(depot="A"), timeout=LIMIT)
    assert len(elections) == 2
    assert patience == [2]  # not all the time that is left: the server may be silent
    monkeypatch.setattr(JetStream, "publish", has_no_leader)
    monkeypatch.setattr(JetStream, "stream_info", knows_no_leader)
    with pytest.raises(JetStreamUnavailableError, match="no leader now that can be reached"):
        await client.publish_shipped("p-1", Shipped(depot="A"), timeout=0.01)

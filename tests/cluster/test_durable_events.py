"""Durable events on a cluster of three servers, which are killed one after the other."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from testkit.parcels import (
    COURIERS_STREAM,
    DELIVERED,
    PARCELS_EVENTS_STREAM,
    Delivered,
    ParcelsClient,
    Recorder,
)
from testkit.transports import connected
from testkit.waiting import LIMIT, answered, eventually, wait_for
from weenats import NatsTransport, ServiceError
from weenats.events import consume, read_events
from weenats.events.reader import count_stored
from weenats.streams import apply_streams, plan_streams
from weenats.testing import ClusterServer, NatsCluster
from weenats.transport.jetstream import JetStream
from weenats.transport.jetstream.api import call

pytestmark = pytest.mark.timing  # publishing has its timeout, also while servers are gone

STREAM = replace(PARCELS_EVENTS_STREAM, replicas=3)
STREAMS = [STREAM, replace(COURIERS_STREAM, replicas=3)]
KEYS, EVENTS = 8, 40


async def test_killed_servers_lose_nothing() -> None:
    """Each acknowledged event is stored once and processed, those of a key in order."""
    with NatsCluster(3) as cluster:
        async with AsyncExitStack() as stack:
            urls = [each.url for each in cluster.servers]
            transports = [NatsTransport(urls) for _ in range(3)]
            for each in transports:
                stack.push_async_callback(each.close)
            plans = await answered(lambda: plan_streams(transports[0], STREAMS))
            await apply_streams(transports[0], plans)
            order: dict[str, list[int]] = defaultdict(list)

            async def act(event: Any) -> None:
                order[event.key].append(event.data.count)

            for each in transports[:2]:
                run = await consume(each, Recorder(act), "billing", ack_wait=2.0)
                stack.push_async_callback(run.stop)
            keys = [f"p-{number}" for number in range(KEYS)]
            publisher = ParcelsClient(transports[2])
            killing = kill(cluster, transports[2])
            await asyncio.gather(killing, *(publish(publisher, key) for key in keys))
            expected = list(range(EVENTS))
            await eventually(lambda: all([*dict.fromkeys(order[key])] == expected for key in keys))
            info = await answered(lambda: JetStream(transports[0]).stream_info(STREAM.name))
            assert info.messages == KEYS * EVENTS
    for key in keys:  # a repetition follows the event itself, never a later one
        assert order[key] == sorted(order[key])


async def test_readers_end_at_the_last_event_beside_a_server_with_old_data() -> None:
    """A server that has restarted has consumers before it has the events of the meantime."""
    with NatsCluster(3) as cluster:
        async with connected(cluster.urls) as transport:
            plans = await answered(lambda: plan_streams(transport, STREAMS))
            await apply_streams(transport, plans)
            parcels = ParcelsClient(transport)
            await asyncio.to_thread(kill_noticed, cluster, cluster.servers[0])
            for count in range(EVENTS):
                await parcels.publish_delivered("p-1", Delivered(count=count), timeout=60)
            starting = asyncio.create_task(asyncio.to_thread(cluster.servers[0].start))
            while not (await is_complete(transport) and starting.done()):
                read = await answered(lambda: read_all(transport))
                left = await answered(lambda: count_stored(transport, DELIVERED, start=EVENTS))
                assert (read, left) == (list(range(EVENTS)), 1)
            await starting


async def test_readers_go_on_without_the_server_of_their_consumer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may never come back: another server gets a consumer, and delivers what is stored."""
    monkeypatch.setattr("weenats.events.reader._QUIET", 0.5)
    with NatsCluster(3) as cluster:
        async with connected(cluster.urls) as transport:
            plans = await answered(lambda: plan_streams(transport, STREAMS))
            await apply_streams(transport, plans)
            parcels, reading = ParcelsClient(transport), read_events(transport, DELIVERED)
            await parcels.publish_delivered("p-1", Delivered(count=0), timeout=60)
            async with asyncio.timeout(4 * LIMIT):
                assert (await anext(reading)).data.count == 0
                name = f"CONSUMER.LIST.{STREAM.name}"
                [consumer] = (await call(transport, name, {}, what=name, timeout=LIMIT))[
                    "consumers"
                ]
                [its] = [
                    each for each in cluster.servers if each.name == consumer["cluster"]["leader"]
                ]
                await asyncio.to_thread(its.kill)
                await parcels.publish_delivered("p-1", Delivered(count=1), timeout=60)
                assert (await anext(reading)).data.count == 1
                await reading.aclose()


async def read_all(transport: NatsTransport) -> list[int]:
    """Read the events from the first one to the last one."""
    return [each.data.count async for each in read_events(transport, DELIVERED, follow=False)]


async def publish(publisher: ParcelsClient, key: str) -> None:
    """Publish the events of a key."""
    for count in range(EVENTS):
        await publisher.publish_delivered(key, Delivered(count=count), timeout=60)
        await asyncio.sleep(0.02)


async def kill(cluster: NatsCluster, transport: NatsTransport) -> None:
    """Kill one server after the other, each of which starts again when the others miss it.

    The next one waits until all three have the whole stream: without two that have it, the stream
    has no leader.
    """
    for server in cluster.servers:
        await asyncio.to_thread(kill_noticed, cluster, server)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(2 * LIMIT):
            while not await is_complete(transport):  # noqa: ASYNC110 - servers bring it about
                await asyncio.sleep(0.01)


def kill_noticed(cluster: NatsCluster, server: ClusterServer) -> None:
    """Kill a server, and wait until the others have no route to it any more."""
    killed = server.monitor("/varz")["server_id"]
    server.kill()
    others = [each for each in cluster.servers if each is not server]

    def is_missed() -> bool:
        routes = [route for other in others for route in other.monitor("/routez")["routes"]]
        return all(route.get("remote_id") != killed for route in routes)

    wait_for(is_missed)


async def is_complete(transport: NatsTransport) -> bool:
    """Return whether the stream has a leader, and both other servers have all of it.

    Nobody answers while there is no leader: the next question comes soon.
    """
    what = f"STREAM.INFO.{STREAM.name}"
    try:
        info: dict[str, Any] = await call(transport, what, {}, what=STREAM.name, timeout=1)
    except ServiceError:
        return False
    others = info["cluster"].get("replicas", [])
    return len(others) == 2 and all(each["current"] and not each.get("offline") for each in others)

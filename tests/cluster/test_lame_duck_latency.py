"""Lame duck mode while the servers of the cluster are slow to tell each other something."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import nats
import pytest

from testkit.network import Network
from testkit.transports import answering, connected, request_routed, soon
from testkit.waiting import LIMIT, eventually
from weenats import ConnectionOptions
from weenats.testing import NatsCluster
from weenats.transport.migration import Migration

PATIENT = ConnectionOptions(ping_interval=60, reconnect_wait=0.02)


class Stages:
    """Ends the waiting of a move when the test says so: before it leaves, and before it ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: asyncio.Queue[asyncio.Event] = asyncio.Queue()

        async def wait(_: Migration) -> None:
            end = asyncio.Event()
            self.begun.put_nowait(end)
            await end.wait()

        monkeypatch.setattr(Migration, "_wait_for_routes", wait)

    async def next(self) -> asyncio.Event:
        """Wait until the move waits, and return the event that ends this."""
        return await asyncio.wait_for(self.begun.get(), LIMIT)


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Stages:
    """The stages of a move."""
    return Stages(monkeypatch)


@pytest.fixture
def links() -> Iterator[Network]:
    """The network between the servers."""
    with Network() as network:
        yield network


@pytest.fixture
def divided_pair(links: Network) -> Iterator[NatsCluster]:
    """A cluster of two servers, the link between which a test can cut."""

    def link(place: str, target: str, port: int) -> int:
        return port if place == "client" else links.link(place, target, port)

    with NatsCluster(2, link=link) as pair:
        yield pair


async def test_service_stays_until_others_know_its_new_server(
    pair: NatsCluster, stages: Stages
) -> None:
    """Until the cluster knows the new subscription, requests at the old server are answered."""
    stays = await nats.connect(pair.servers[0].url)  # does not leave the server
    async with connected(pair.servers[0].url) as service:
        service.subscribe("work", answering(service), "workers")
        await service.fence()
        pair.servers[0].lame_duck()
        leave = await stages.next()
        assert service.server_address == ("127.0.0.1", pair.servers[1].port)
        for _ in range(100):
            assert (await stays.request("work", b"x", timeout=LIMIT)).data == b"x"
        assert service._connection is not None
        assert [each.subject for each in service._connection.interests] == ["work"]
        leave.set()
        (await stages.next()).set()
        await eventually(lambda: not service._migration.is_running)
        assert (await stays.request("work", b"y", timeout=LIMIT)).data == b"y"
    await stays.close()


async def test_unsubscribing_does_not_wait_for_the_move(pair: NatsCluster, stages: Stages) -> None:
    """A subscription that ends meanwhile ends on both servers at once, and loses no message."""
    heard: list[bytes] = []
    async with connected(pair.servers[0].url) as listener:
        interest = listener.subscribe("news", lambda delivery: heard.append(delivery.payload))
        await listener.fence()
        pair.servers[0].lame_duck()
        await stages.next()
        listener.publish("news", b"before")
        await asyncio.wait_for(listener.unsubscribe([interest]), LIMIT)
        listener.publish("news", b"after")
        await listener.fence()
        assert heard == [b"before"]
        assert listener._migration.is_running


@pytest.mark.timing
async def test_request_between_two_servers_is_not_lost(
    divided_pair: NatsCluster, links: Network, stages: Stages
) -> None:
    """A request that is on its way to the old server while the service moves is answered."""
    first, second = divided_pair.servers
    async with (
        connected(first.url, PATIENT) as service,
        connected(second.url, PATIENT) as client,
    ):
        service.subscribe("work", answering(service), "workers")
        await service.fence()
        await request_routed(client, "work")
        await asyncio.to_thread(links.cut, "weenats-0")
        call = asyncio.create_task(client.request("work", b"x", b"", soon()))
        await client.fence()
        first.lame_duck()
        leave = await stages.next()
        assert not call.done()
        await asyncio.to_thread(links.mend, "weenats-0")
        assert (await call).payload == b"x"
        leave.set()


@pytest.mark.timing
async def test_event_between_two_servers_arrives_once(
    divided_pair: NatsCluster, links: Network, stages: Stages
) -> None:
    """A copy that arrives after the old server was left is dropped."""
    first, second = divided_pair.servers
    heard: list[bytes] = []
    stays = await nats.connect(first.url)
    async with (
        connected(first.url, PATIENT) as listener,
        connected(second.url, PATIENT) as other,
    ):
        listener.subscribe("news", lambda delivery: heard.append(delivery.payload))
        await listener.fence()
        first.lame_duck()
        leave = await stages.next()
        other.subscribe("ready", answering(other))
        await other.fence()
        while True:  # the first server learns of the subscriptions in this order
            try:
                await stays.request("ready", b"", timeout=LIMIT)
                break
            except nats.errors.NoRespondersError:
                pass
        await asyncio.to_thread(links.cut, "weenats-0")
        await stays.publish("news", b"1")
        await stays.flush()
        await eventually(lambda: heard)
        leave.set()
        end = await stages.next()
        await asyncio.to_thread(links.mend, "weenats-0")
        await stays.publish("news", b"2")
        await eventually(lambda: heard[-1] == b"2")
        end.set()
    await stays.close()
    assert heard == [b"1", b"2"]

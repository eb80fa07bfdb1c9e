"""Calls across a leaf node, and across two clusters joined by a gateway."""

from __future__ import annotations

import asyncio

from receipts import ReceiptsClient
from testkit import wallets
from testkit.core_receipts import CoreReceipts
from testkit.load import COFFEE
from testkit.once import OnceClient, OnceProbe
from testkit.probe import Run
from testkit.waiting import LIMIT, answered, wait_for
from weenats import (
    ConnectionOptions,
    NatsServiceBuilder,
    NatsTransport,
    UnavailableError,
    new_message_id,
)
from weenats.testing import NatsCluster, NatsServer
from weenats.testing.nats_server import free_ports
from weenats.transport.jetstream import JetStream

OPTIONS = ConnectionOptions(connect_timeout=10)


async def assert_call(servers: str | list[str], service: str | list[str]) -> None:
    """Check that a client at one place can call a service at another."""
    builder = NatsServiceBuilder(CoreReceipts(), service, connection=OPTIONS)
    async with builder.build(), ReceiptsClient.connect(servers, connection=OPTIONS) as client:
        async with asyncio.timeout(LIMIT):
            while True:
                try:
                    receipt = await client.add_item("r-1", COFFEE)
                except UnavailableError:  # that somebody listens there is not known here yet
                    continue
                break
        assert receipt.total == 9.0
        assert (await client.get_receipt("r-1")).revision == 1


async def test_calls_across_a_leaf_node() -> None:
    """Calls work from a leaf node to the cluster and in the other direction."""
    with NatsCluster(2, config='leafnodes { listen: "127.0.0.1:-1" }') as hub:
        port = hub.servers[0].monitor("/varz")["leaf"]["port"]
        remote = f'leafnodes {{ remotes: [{{ url: "nats-leaf://127.0.0.1:{port}" }}] }}'
        with NatsServer(config=remote) as leaf:
            await asyncio.to_thread(
                wait_for, lambda: hub.servers[0].monitor("/leafz")["leafnodes"] == 1
            )
            await assert_call(leaf.url, service=hub.urls)
            await assert_call(hub.urls, service=leaf.url)


async def test_calls_across_a_gateway() -> None:
    """Calls work between two clusters in both directions."""
    with NatsCluster(2, name="east", config=gateway("east")) as east:
        port = east.servers[0].monitor("/varz")["gateway"]["port"]
        config = gateway("west", f'{{ name: east, url: "nats://127.0.0.1:{port}" }}')
        with NatsCluster(2, name="west", config=config) as west:
            for cluster in (east, west):
                for server in cluster.servers:
                    await asyncio.to_thread(
                        wait_for,
                        lambda server=server: server.monitor("/gatewayz")["outbound_gateways"],
                    )
            await assert_call(east.urls, service=west.urls)
            await assert_call(west.urls, service=east.urls)


async def test_jetstream_of_the_hub_at_a_leaf_node() -> None:
    """Where the leaf node maps its subjects, a service there stores what it keeps at the hub."""
    (port,) = free_ports(1)
    hub_config = f'jetstream {{ domain: hub }}\nleafnodes {{ listen: "127.0.0.1:{port}" }}\n'
    config = (
        f'leafnodes {{ remotes: [{{ url: "nats-leaf://127.0.0.1:{port}" }}] }}\n'
        'mappings { "$JS.API.>": "$JS.hub.API.>", "$KV.>": "$JS.hub.API.$KV.>" }\n'
    )
    with NatsServer(config=hub_config) as hub, NatsServer(config=config) as leaf:
        await asyncio.to_thread(wait_for, lambda: "Leafnode connection created" in leaf.log())
        transport, at_leaf = NatsTransport(hub.url, OPTIONS), NatsTransport(leaf.url, OPTIONS)
        await answered(lambda: JetStream(at_leaf).streams())  # the hub has told its subjects
        await at_leaf.close()
        handlers = OnceProbe()
        async with (
            NatsServiceBuilder(handlers, leaf.url, connection=OPTIONS).build(),
            wallets.builder(leaf.url).build(),
            OnceClient.connect(hub.url, verify="off") as probe,
            wallets.client(hub.url) as purses,
        ):
            message_id = new_message_id()
            go = Run(action="go")
            for _ in range(2):
                await answered(lambda: probe.run("k", go, message_id=message_id))
            assert len(handlers.seen) == 1
            amount = wallets.wallets.Amount(cents=5)
            assert (await answered(lambda: purses.deposit("w-1", amount))).balance == 5
            names = {each.config.name for each in await JetStream(transport).streams()}
            assert {"KV_probe-once", "wallets-commits", "wallets-events"} <= names
        await transport.close()


def gateway(name: str, *others: str) -> str:
    """Return the gateway configuration of a cluster."""
    gateways = ", ".join(others)
    return f'gateway {{ name: {name}, listen: "127.0.0.1:-1", gateways: [{gateways}] }}'

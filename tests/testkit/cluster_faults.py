"""Faults of servers and networks of a cluster while clients call; for tests and `make faults`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from receipts import ReceiptsClient
from testkit.load import COFFEE, TIMEOUT, Load, SlowReceipts, Tally, longest_gap, tally
from testkit.network import Network
from testkit.waiting import eventually, wait_for
from weenats import ConnectionOptions, NatsServiceBuilder, NatsTransport
from weenats.testing.nats_cluster import ClusterServer, NatsCluster

OPTIONS: Final = ConnectionOptions(ping_interval=0.5, connect_timeout=2)
CLIENTS: Final = (0, 0, 0)
"""The servers that clients are connected to at first, by index."""
SERVICES: Final = (1, 2)
"""The servers that the instances of the service are connected to at first, by index."""


@dataclass(frozen=True)
class FaultScenario:
    """A cluster, its network, and clients that call."""

    cluster: NatsCluster
    network: Network
    load: Load
    transports: tuple[NatsTransport, ...]

    @property
    def of_clients(self) -> ClusterServer:
        """The server that all clients are connected to at first."""
        return self.cluster.servers[CLIENTS[0]]

    @property
    def of_a_service(self) -> ClusterServer:
        """The server that one instance is connected to at first."""
        return self.cluster.servers[SERVICES[0]]

    async def left(self, server: ClusterServer) -> None:
        """Wait until no client and no service is connected to a server."""
        await eventually(lambda: all(_home(each) != server.url for each in self.transports))


@dataclass(frozen=True)
class Outcome:
    """What came of the calls during a fault."""

    plain: Tally
    retried: Tally
    longest_gap: float
    load: Load
    executions: Counter[str]


Fault = Callable[[FaultScenario], Awaitable[None]]


async def kill(stage: FaultScenario, server: ClusterServer) -> None:
    """Kill a server, and start it again once calls succeed without it."""
    server.kill()
    await stage.load.flows()
    await asyncio.to_thread(server.start)


async def pause(stage: FaultScenario, server: ClusterServer) -> None:
    """Pause a server until its clients have left it."""
    server.pause()
    try:
        await stage.left(server)
        await stage.load.flows()
    finally:
        server.resume()
    await asyncio.to_thread(server.join)


async def lame_duck(stage: FaultScenario, server: ClusterServer) -> None:
    """Put a server into lame duck mode, and restart it once its clients have left."""
    server.lame_duck()
    await stage.left(server)
    await asyncio.to_thread(wait_for, lambda: is_deserted(server))
    await asyncio.to_thread(server.restart)


async def cut_off_clients(stage: FaultScenario) -> None:
    """Cut the clients off from their server."""
    server = stage.of_clients
    stage.network.cut("client", server.name)
    try:
        await stage.left(server)
        await stage.load.flows()
    finally:
        stage.network.mend("client", server.name)


@asynccontextmanager
async def cut_off(
    cluster: NatsCluster, network: Network, server: ClusterServer
) -> AsyncIterator[None]:
    """Cut a server off from the others; the body runs once both sides have noticed."""
    others = [each.name for each in cluster.servers if each is not server]
    network.cut(server.name, *others)
    try:
        await asyncio.to_thread(
            wait_for, lambda: not any(_is_route(server, each) for each in others)
        )
        yield
    finally:
        network.mend(server.name, *others)


async def cut_off_server(stage: FaultScenario, server: ClusterServer) -> None:
    """Cut a server off from the others until both sides have noticed."""
    async with cut_off(stage.cluster, stage.network, server):
        pass
    await asyncio.to_thread(server.join)


async def upgrade(stage: FaultScenario) -> None:
    """Restart all servers, one after another, each in lame duck mode first."""
    for server in stage.cluster.servers:
        await lame_duck(stage, server)
        await stage.load.flows()


FAULTS: Final[dict[str, Fault]] = {
    "the clients' server is killed": lambda stage: kill(stage, stage.of_clients),
    "a service's server is killed": lambda stage: kill(stage, stage.of_a_service),
    "the clients' server hangs": lambda stage: pause(stage, stage.of_clients),
    "a service's server hangs": lambda stage: pause(stage, stage.of_a_service),
    "lame duck mode of the clients' server": lambda stage: lame_duck(stage, stage.of_clients),
    "lame duck mode of a service's server": lambda stage: lame_duck(stage, stage.of_a_service),
    "rolling upgrade of all servers": upgrade,
}
TRANSPARENT_FAULTS: Final = frozenset(list(FAULTS)[-3:])
"""Faults during which no call may fail."""
PARTITIONS: Final[dict[str, Fault]] = {
    "the clients are cut off their server": cut_off_clients,
    "the clients' server is cut off the others": lambda stage: cut_off_server(
        stage, stage.of_clients
    ),
    "a service's server is cut off the others": lambda stage: cut_off_server(
        stage, stage.of_a_service
    ),
}


async def run_fault(cluster: NatsCluster, network: Network, fault: Fault) -> Outcome:
    """Let clients call during a fault, until everything is as it was before.

    Afterwards each client makes one more call, which must succeed.
    """
    executions: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(_connected(cluster, n)) for n in SERVICES]
        for transport in services:
            builder = NatsServiceBuilder(SlowReceipts(executions), transport=transport)
            service = builder.with_queue_group("receipts", max_concurrency=100).build()
            await stack.enter_async_context(service)
        callers = [await stack.enter_async_context(_connected(cluster, n)) for n in CLIENTS]
        load = Load(ReceiptsClient(transport) for transport in callers)
        stage = FaultScenario(cluster, network, load, (*services, *callers))
        async with load.running():
            await load.flows()
            before = await asyncio.to_thread(_subscriptions, cluster)
            await fault(stage)
            await load.flows()
            await asyncio.to_thread(wait_for, lambda: _subscriptions(cluster) == before)
        for client in load.clients:
            await client.add_item("last", COFFEE, timeout=TIMEOUT)
    return Outcome(
        tally(load, executions, retried=False),
        tally(load, executions, retried=True),
        longest_gap(load),
        load,
        executions,
    )


@asynccontextmanager
async def _connected(cluster: NatsCluster, number: int) -> AsyncIterator[NatsTransport]:
    """Connect with the URLs of all servers until the connection is to a certain one."""
    home = cluster.servers[number].url
    while True:
        transport = NatsTransport(cluster.urls, OPTIONS)
        await transport.connect()
        if _home(transport) == home:
            break
        await transport.close()
    try:
        yield transport
    finally:
        await transport.close()


def _home(transport: NatsTransport) -> str:
    host, port = transport.server_address or ("", 0)
    return f"nats://{host}:{port}"


def _subscriptions(cluster: NatsCluster) -> list[int]:
    """Return the number of subscriptions of each connection, sorted."""
    answers = [server.monitor("/connz")["connections"] for server in cluster.servers]
    return sorted(each["subscriptions"] for connections in answers for each in connections)


def put_leader_last(cluster: NatsCluster) -> None:
    """Reorder the servers: in lame duck mode a leader of JetStream first waits for a second."""
    leader = cluster.servers[0].monitor("/jsz")["meta_cluster"]["leader"]
    cluster.servers = tuple(sorted(cluster.servers, key=lambda each: each.name == leader))


def is_deserted(server: ClusterServer) -> bool:
    """Return whether a server has no connections, or has ended."""
    try:
        return not server.monitor("/connz")["total"]
    except OSError:
        return not server.is_running


def _is_route(server: ClusterServer, name: str) -> bool:
    return name in {route["remote_name"] for route in server.monitor("/routez")["routes"]}

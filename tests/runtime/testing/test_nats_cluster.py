"""The cluster for tests: it comes up whole, its servers come and go, nothing is left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.network import Network
from testkit.transports import answering, connected, request_routed
from testkit.waiting import LIMIT
from weenats.testing import NatsCluster, NatsServerError, nats_cluster
from weenats.testing.nats_cluster import ClusterServer


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which servers make theirs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def cluster() -> Iterator[NatsCluster]:
    """Three servers."""
    with NatsCluster(3, name="trio") as cluster:
        yield cluster


def neighbours(server: ClusterServer) -> set[str]:
    """The servers that a server has routes to."""
    return {route["remote_name"] for route in server.monitor("/routez")["routes"]}


def test_it_leaves_nothing_behind(temporary: Path) -> None:
    """Folders are there while it runs, and gone afterwards, with the servers."""
    with NatsCluster(2) as cluster:
        assert len(list(temporary.iterdir())) == 2
    assert not any(server.is_running for server in cluster.servers)
    assert list(temporary.iterdir()) == []


async def test_it_comes_up_whole(cluster: NatsCluster) -> None:
    """Each server knows the others, JetStream has a leader, and messages cross at once."""
    names = {server.name for server in cluster.servers}
    assert names == {"trio-0", "trio-1", "trio-2"}
    assert cluster.urls == [server.url for server in cluster.servers]
    assert len(set(cluster.urls)) == 3
    for server in cluster.servers:
        assert neighbours(server) == names - {server.name}
        assert server.monitor("/jsz")["meta_cluster"]["leader"] in names
    first, *_, last = cluster.urls
    async with connected(first) as service, connected(last) as client:
        service.subscribe("work", answering(service))
        await service.fence()
        assert (await request_routed(client, "work", b"x")).payload == b"x"


def test_servers_come_back_where_they_were(cluster: NatsCluster) -> None:
    """After `kill` and `start` or `restart` a server has its address, and the others have it."""
    server, *others = cluster.servers
    for again in (server.restart, lambda: (server.kill(), server.start())):
        url, process_id = server.url, server.process_id
        again()
        assert server.url == url
        assert server.process_id != process_id
        assert neighbours(server) == {other.name for other in others}


def test_nobody_waits_for_a_server_that_is_paused(cluster: NatsCluster) -> None:
    """While one is paused another one starts and is whole without it; then it goes on."""
    leader = cluster.servers[0].monitor("/jsz")["meta_cluster"]["leader"]
    paused, again = [server for server in cluster.servers if server.name != leader]
    paused.pause()
    try:
        again.restart()
    finally:
        paused.resume()
    paused.join()
    assert again.name in neighbours(paused)


def test_a_server_in_lame_duck_mode_ends_and_starts_again(cluster: NatsCluster) -> None:
    """Without clients it ends by itself; `stop` and `start` find nothing in the way."""
    server = cluster.servers[0]
    server.lame_duck()
    process = server._process
    assert process is not None
    assert process.wait(LIMIT) == 0
    assert not server.is_running
    assert server.start().is_running


def test_a_server_that_cannot_join_says_so(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error holds the log of the server; no process and no folder are left."""
    monkeypatch.setattr(nats_cluster, "_JOIN_TIMEOUT", 0.5)
    with Network() as network:
        cluster = NatsCluster(2, link=network.link)
        first, second = cluster.servers
        network.cut(first.name, second.name)
        with pytest.raises(
            NatsServerError, match=r"(?s)did not join its cluster:.*Server is ready"
        ):
            cluster.start()
    assert not any(server.is_running for server in cluster.servers)
    assert list(temporary.iterdir()) == []


def test_a_configuration_that_is_none_is_told(temporary: Path) -> None:
    """A cluster whose configuration is wrong says what the server says, and leaves nothing."""
    with pytest.raises(NatsServerError, match="did not start"):
        NatsCluster(2, config="no { config").start()
    assert list(temporary.iterdir()) == []

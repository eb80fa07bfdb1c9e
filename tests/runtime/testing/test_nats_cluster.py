"""NatsCluster: start, restart and stop of its servers."""

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
    """The directory for the temporary directories of servers."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def cluster() -> Iterator[NatsCluster]:
    """A cluster of three servers."""
    with NatsCluster(3, name="trio") as cluster:
        yield cluster


def neighbours(server: ClusterServer) -> set[str]:
    """Return the servers that a server has routes to."""
    return {route["remote_name"] for route in server.monitor("/routez")["routes"]}


def test_it_leaves_nothing_behind(temporary: Path) -> None:
    """Directories and processes exist while the cluster runs, and not afterwards."""
    with NatsCluster(2) as cluster:
        assert len(list(temporary.iterdir())) == 2
    assert not any(server.is_running for server in cluster.servers)
    assert list(temporary.iterdir()) == []


async def test_it_comes_up_whole(cluster: NatsCluster) -> None:
    """After the start, all routes exist, JetStream has a leader, and messages cross servers."""
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
    """After `kill` and `start`, or `restart`, a server has its port and its routes."""
    server, *others = cluster.servers
    for again in (server.restart, lambda: (server.kill(), server.start())):
        url, process_id = server.url, server.process_id
        again()
        assert server.url == url
        assert server.process_id != process_id
        assert neighbours(server) == {other.name for other in others}


def test_nobody_waits_for_a_server_that_is_paused(cluster: NatsCluster) -> None:
    """A server starts while another one is paused, without waiting for it."""
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
    """After lame duck mode has ended, `stop` and `start` work."""
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
    """The error has the log of the server; no process or directory is left."""
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
    """The error of an invalid configuration has the log of the server."""
    with pytest.raises(NatsServerError, match="did not start"):
        NatsCluster(2, config="no { config").start()
    assert list(temporary.iterdir()) == []

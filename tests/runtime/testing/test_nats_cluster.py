"""The NATS cluster for tests: start, restart, failures and cleanup."""

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
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which servers create their own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def cluster() -> Iterator[NatsCluster]:
    """A cluster of three servers."""
    with NatsCluster(3, name="trio") as cluster:
        yield cluster


def neighbours(server: ClusterServer) -> set[str]:
    """Return the names of the servers that a server has routes to."""
    return {route["remote_name"] for route in server.monitor("/routez")["routes"]}


def test_cluster_cleans_up(temporary_folder: Path) -> None:
    """Servers and folders are gone after the cluster stops."""
    with NatsCluster(2) as cluster:
        assert len(list(temporary_folder.iterdir())) == 2
    assert not any(server.is_running for server in cluster.servers)
    assert list(temporary_folder.iterdir()) == []


async def test_cluster_is_complete_after_start(cluster: NatsCluster) -> None:
    """All routes exist, JetStream has a leader, and messages cross servers immediately."""
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


def test_restarted_servers_keep_their_address(cluster: NatsCluster) -> None:
    """After a restart a server has its address and rejoins the cluster."""
    server, *others = cluster.servers
    for again in (server.restart, lambda: (server.kill(), server.start())):
        url, process_id = server.url, server.process_id
        again()
        assert server.url == url
        assert server.process_id != process_id
        assert neighbours(server) == {other.name for other in others}


def test_paused_server_does_not_block_a_restart(cluster: NatsCluster) -> None:
    """While one server is paused, another restarts; then the paused one rejoins."""
    leader = cluster.servers[0].monitor("/jsz")["meta_cluster"]["leader"]
    paused, again = [server for server in cluster.servers if server.name != leader]
    paused.pause()
    try:
        again.restart()
    finally:
        paused.resume()
    paused.join()
    assert again.name in neighbours(paused)


def test_lame_duck_server_exits_and_can_be_restarted(cluster: NatsCluster) -> None:
    """Without clients it exits, and can be started again."""
    server = cluster.servers[0]
    server.lame_duck()
    process = server._process
    assert process is not None
    assert process.wait(LIMIT) == 0
    assert not server.is_running
    assert server.start().is_running


def test_failed_join_is_reported_with_the_log(
    temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the server's log; no process and no folder is left."""
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
    assert list(temporary_folder.iterdir()) == []


def test_invalid_cluster_configuration_is_reported(temporary_folder: Path) -> None:
    """The error has the server's message, and no folder is left."""
    with pytest.raises(NatsServerError, match="did not start"):
        NatsCluster(2, config="no { config").start()
    assert list(temporary_folder.iterdir()) == []

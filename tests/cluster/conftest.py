"""Clusters that tests share; each test leaves its cluster complete."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testkit.network import Network
from weenats.testing import NatsCluster


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """The network between clients and servers of the cluster that can be divided."""
    with Network() as network:
        yield network


@pytest.fixture(scope="session")
def cluster() -> Iterator[NatsCluster]:
    """Three servers."""
    with NatsCluster(3) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def divided_cluster(network: Network) -> Iterator[NatsCluster]:
    """Three servers behind links that can be cut."""
    with NatsCluster(3, link=network.link) as cluster:
        yield cluster


@pytest.fixture
def pair() -> Iterator[NatsCluster]:
    """Two servers for one test."""
    with NatsCluster(2) as pair:
        yield pair

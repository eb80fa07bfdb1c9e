"""Clusters that the tests of a module share; each test restores its cluster.

They end with the module, since idle servers of a cluster need processor time all the while.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testkit.cluster_faults import put_leader_last
from testkit.network import Network
from weenats.testing import NatsCluster


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """The network of `divided_cluster`, whose links can be cut."""
    with Network() as network:
        yield network


@pytest.fixture(scope="module")
def cluster() -> Iterator[NatsCluster]:
    """A cluster of three servers."""
    with NatsCluster(3) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def divided_cluster(network: Network) -> Iterator[NatsCluster]:
    """A cluster of three servers behind links that can be cut."""
    with NatsCluster(3, link=network.link) as cluster:
        yield cluster


@pytest.fixture
def pair() -> Iterator[NatsCluster]:
    """A cluster of two servers for one test."""
    with NatsCluster(2) as pair:
        put_leader_last(pair)
        yield pair

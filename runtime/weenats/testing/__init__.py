"""Tools for tests: a nats-server, a cluster, an in-memory transport, and pytest fixtures.

The fixtures are in `weenats.testing.plugin`.
"""

from weenats.testing.memory_transport import MemoryBroker, MemoryTransport
from weenats.testing.nats_cluster import ClusterServer, NatsCluster
from weenats.testing.nats_server import NatsServer, NatsServerError

__all__ = [
    "ClusterServer",
    "MemoryBroker",
    "MemoryTransport",
    "NatsCluster",
    "NatsServer",
    "NatsServerError",
]

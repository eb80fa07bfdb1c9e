"""For tests of services.

A real nats-server, a cluster of them, a transport in memory, and pytest fixtures for both.
"""

from weenats.testing.memory_transport import MemoryBroker, MemoryTransport
from weenats.testing.nats_cluster import NatsCluster
from weenats.testing.nats_server import NatsServer, NatsServerError

__all__ = ["MemoryBroker", "MemoryTransport", "NatsCluster", "NatsServer", "NatsServerError"]

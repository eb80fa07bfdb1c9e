"""Tools for tests: a nats-server, a cluster, an in-memory transport, pytest fixtures.

`serving` runs a service for tests of synchronous programs. `check_example` is what contract tests
are made of. The fixtures are in
`weenats.testing.plugin`.
"""

from weenats.testing.examples import Example, check_example
from weenats.testing.memory_transport import MemoryBroker, MemoryTransport
from weenats.testing.nats_cluster import ClusterServer, NatsCluster
from weenats.testing.nats_server import NatsServer, NatsServerError
from weenats.testing.serving import serving

__all__ = [
    "ClusterServer",
    "Example",
    "MemoryBroker",
    "MemoryTransport",
    "NatsCluster",
    "NatsServer",
    "NatsServerError",
    "check_example",
    "serving",
]

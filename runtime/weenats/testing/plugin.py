"""pytest fixtures.

`pytest_plugins = ["weenats.testing.plugin"]` in a conftest.py makes them known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from weenats.testing.memory_transport import MemoryBroker, MemoryTransport
from weenats.testing.nats_server import NatsServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """A real nats-server for the whole run; tests share it and keep apart by their subjects."""
    with NatsServer() as server:
        yield server


@pytest.fixture
def own_nats_server() -> Iterator[NatsServer]:
    """A real nats-server for one test, which may kill it and start it again."""
    with NatsServer() as server:
        yield server


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    """Where the shared nats-server listens."""
    return nats_server.url


@pytest.fixture
def memory_transport() -> MemoryTransport:
    """A transport in memory with a broker of its own."""
    return MemoryTransport(MemoryBroker())

"""pytest fixtures; enable them by `pytest_plugins = ["weenats.testing.plugin"]` in conftest.py."""

from collections.abc import Iterator

import pytest

from weenats.testing.memory_transport import MemoryTransport
from weenats.testing.nats_server import NatsServer

__all__ = ["memory_transport", "nats_server", "nats_url", "own_nats_server"]


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """A nats-server for the whole test session; tests must use different subjects."""
    with NatsServer() as server:
        yield server


@pytest.fixture
def own_nats_server() -> Iterator[NatsServer]:
    """A nats-server for one test, which may kill and restart it."""
    with NatsServer() as server:
        yield server


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    """The URL of the shared nats-server."""
    return nats_server.url


@pytest.fixture
def memory_transport() -> MemoryTransport:
    """An in-memory transport with its own broker."""
    return MemoryTransport()

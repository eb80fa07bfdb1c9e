"""pytest fixtures; enable them by `pytest_plugins = ["weenats.testing.plugin"]` in conftest.py."""

from collections.abc import Iterator

import pytest

from weenats.testing.clean_streams import CleanStreams, clean_streams_on
from weenats.testing.memory_transport import MemoryTransport
from weenats.testing.nats_server import NatsServer

__all__ = ["clean_streams", "memory_transport", "nats_server", "nats_url", "own_nats_server"]


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
def clean_streams(nats_url: str) -> Iterator[CleanStreams]:
    """Creates the streams of a contract on the shared nats-server, empty, for one test.

    What the service of the contract has stored there is removed: streams with their consumers and
    dead letters, kept aggregates and replies. Call it with `CONTRACT` of the generated package,
    before the service or its consumers start.
    """
    with clean_streams_on(nats_url) as clean:
        yield clean


@pytest.fixture
def memory_transport() -> MemoryTransport:
    """An in-memory transport with its own broker."""
    return MemoryTransport()

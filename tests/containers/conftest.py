"""nats-servers in containers; without Docker the tests skip, or fail if it is required."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator

import docker
import pytest
from docker.errors import DockerException

from testkit.nats_container import NatsContainer, nats_image


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if item.path.parent.name == "containers":
            item.add_marker(pytest.mark.container)


@pytest.fixture(scope="session")
def docker_daemon() -> Iterator[docker.DockerClient]:
    """A Docker client; without a daemon skip, or fail if WEENATS_CONTAINER_TESTS is required."""
    client = reach_docker()
    if isinstance(client, str):
        if os.environ.get("WEENATS_CONTAINER_TESTS") == "required":
            pytest.fail(client)
        pytest.skip(client)
    yield client
    client.close()


def reach_docker() -> docker.DockerClient | str:
    """Return a Docker client, or the reason why there is none."""
    try:
        return docker.from_env()  # it asks the daemon for its version
    except DockerException as error:
        reason = f"no Docker daemon: {error}"
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()  # the library leaves a socket open, which is not this project's to warn of
    return reason


@pytest.fixture(scope="session")
def image(docker_daemon: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with a nats-server."""
    return nats_image(docker_daemon, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def open_container(image: str) -> Iterator[NatsContainer]:
    """A nats-server without authentication, shared by tests."""
    with NatsContainer(image) as running:
        yield running


@pytest.fixture
def url(open_container: NatsContainer) -> str:
    """The URL of the shared nats-server."""
    return open_container.url

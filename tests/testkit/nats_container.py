"""A nats-server in a container, from an image that is built from the installed binary."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import docker
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from weenats.testing.nats_server import _binary, free_ports

_IMAGE: Final = "weenats-test/nats-server:latest"
_DOCKERFILE: Final = """\
FROM scratch
COPY nats-server /nats-server
EXPOSE 4222
ENTRYPOINT ["/nats-server"]
"""


def nats_image(daemon: docker.DockerClient, folder: Path) -> str:
    """Return the image in WEENATS_NATS_IMAGE, else build one that holds only the binary.

    The latter needs no registry.
    """
    if named := os.environ.get("WEENATS_NATS_IMAGE"):
        return named
    shutil.copy(_binary(), folder / "nats-server")
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    daemon.images.build(path=str(folder), tag=_IMAGE, rm=True)
    return _IMAGE


class NatsContainer:
    """A new container, on one port of the loopback all the time.

    Args:
        image: the name of the image.
        config: text of the configuration file.
        files: files in the root folder that the configuration refers to, by name.
    """

    def __init__(
        self, image: str, config: str = "", files: Mapping[str, bytes] | None = None
    ) -> None:
        # Ryuk, the reaper of testcontainers, is an image from a registry; `with` cleans up as well.
        testcontainers_config.ryuk_disabled = True
        (self.port,) = free_ports(1)
        ready = LogMessageWaitStrategy("Server is ready").with_startup_timeout(30)
        container = DockerContainer(image).with_bind_ports(4222, self.port).waiting_for(ready)
        container.with_command(["-c", "/server.conf"])
        for name, content in {"server.conf": config.encode(), **(files or {})}.items():
            container.with_copy_into_container(content, f"/{name}")
        self._container = container

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    async def crash(self) -> None:
        """Kill it, and start it again."""
        await asyncio.to_thread(self._container.get_wrapped_container().kill)
        await asyncio.to_thread(self._container.get_wrapped_container().start)

    def pause(self) -> None:
        """Pause all processes of the container."""
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        """Resume the processes."""
        self._container.get_wrapped_container().unpause()

    def __enter__(self) -> Self:
        self._container.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        self._container.stop()

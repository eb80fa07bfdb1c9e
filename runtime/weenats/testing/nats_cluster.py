"""A cluster of real nats-servers as child processes, for tests."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Final, Self

from typing_extensions import override

from weenats._internal.uncopyable import Uncopyable
from weenats.testing.nats_server import NatsServer, NatsServerError, free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ClusterServer", "Link", "NatsCluster"]

_JOIN_TIMEOUT: Final = 30.0
_POLL: Final = 0.02

Link = Callable[[str, str, int], int]
"""Returns the port through which an origin reaches a server, that of a proxy for example.

Arguments are the origin, the name of the server, and its port. An origin is the name of a server,
"client", or "advertised": the route address that servers advertise to each other.
"""


class ClusterServer(NatsServer):
    """One server of a `NatsCluster`, with all methods of `NatsServer`.

    Attributes:
        name: name of the server in the cluster.
        port: port of the server; clients use that of `url`.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - created by NatsCluster only
        self,
        cluster: NatsCluster,
        name: str,
        config: str,
        port: int,
        monitoring_port: int,
        client_port: int,
    ) -> None:
        super().__init__(config=config)
        self.name = name
        self.port = port
        self._cluster = cluster
        self._client_port = client_port
        self._monitoring_port = monitoring_port

    @property
    @override
    def url(self) -> str:
        """The URL for clients."""
        return f"nats://127.0.0.1:{self._client_port}"

    @override
    def start(self) -> Self:
        """Start the server and wait until it has a route to every other running server.

        If a majority of the cluster is running, wait until JetStream has a leader, too.

        Returns:
            This object.

        Raises:
            NatsServerError: the server does not start or does not join the cluster.
        """
        self.launch()
        self.join()
        return self

    def launch(self) -> None:
        """Start the server and wait until it accepts connections.

        Raises:
            NatsServerError: the server does not start.
        """
        super().start()

    def join(self) -> None:
        """Wait until the server has a route to every other running server, as `start` does.

        Raises:
            NatsServerError: the server does not join the cluster.
        """
        end = time.monotonic() + _JOIN_TIMEOUT
        while not self._has_joined():
            if time.monotonic() > end:
                raise NatsServerError(f"{self.name} did not join its cluster:\n{self.log()}")
            time.sleep(_POLL)

    def monitor(self, path: str) -> dict[str, Any]:
        """Return a document of the server's HTTP monitoring endpoint.

        Args:
            path: `/varz`, `/connz`, `/routez` or another path.

        Raises:
            OSError: the server does not respond.
        """
        connection = HTTPConnection("127.0.0.1", self._monitoring_port, 5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            document: dict[str, Any] = json.load(connection.getresponse())
            return document

    def _has_joined(self) -> bool:
        servers = self._cluster.servers
        running = [each for each in servers if each.is_running and not each._is_paused]
        with contextlib.suppress(OSError, HTTPException, ValueError):
            # By id: a route may still be that of a killed server with the same name.
            ids = {each.monitor("/varz")["server_id"] for each in running if each is not self}
            if ids <= {route.get("remote_id") for route in self.monitor("/routez")["routes"]}:
                is_minority = 2 * len(running) <= len(servers)
                return is_minority or bool(self.monitor("/jsz")["meta_cluster"].get("leader"))
        return False


class NatsCluster(Uncopyable):
    """A cluster of nats-servers with JetStream, on free ports of the loopback.

    Example:
        ```python
        from weenats.testing import NatsCluster

        with NatsCluster(3) as cluster:
            print(cluster.urls)
            cluster.servers[0].kill()  # clients and services move to another server
        ```

    Args:
        size: number of servers.
        name: name of the cluster; clusters that are joined by gateways need different names.
        config: text that is added to the configuration file of every server.
        link: returns the port for each connection, so that a test can put proxies in between.

    Attributes:
        servers: the servers.

    Raises:
        NatsServerError: there is no nats-server binary.
    """

    def __init__(
        self,
        size: int = 3,
        *,
        name: str = "weenats",
        config: str = "",
        link: Link = lambda _origin, _server, port: port,
    ) -> None:
        self._name = name
        self._config = config
        self._link = link
        ports = free_ports(3 * size)
        routes = {f"{name}-{n}": port for n, port in enumerate(ports[:size])}
        self.servers = tuple(
            self._server(server, port, monitoring_port, routes)
            for server, port, monitoring_port in zip(
                routes, ports[size : 2 * size], ports[2 * size :], strict=True
            )
        )

    @property
    def urls(self) -> list[str]:
        """The URLs for clients, which clients and services take as `servers`."""
        return [server.url for server in self.servers]

    def start(self) -> Self:
        """Start all servers and wait until they are connected and JetStream has a leader.

        Returns:
            This object.

        Raises:
            NatsServerError: a server does not start; the message contains its log.
        """
        try:
            for server in self.servers:
                server.launch()
            for server in self.servers:
                server.join()
        except NatsServerError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all servers and remove their data."""
        for server in self.servers:
            server.stop()

    def _server(
        self, name: str, port: int, monitoring_port: int, routes: Mapping[str, int]
    ) -> ClusterServer:
        client_port = self._link("client", name, port)
        others = [
            f"nats-route://127.0.0.1:{self._link(name, other, route)}"
            for other, route in routes.items()
            if other != name
        ]
        config = f"""
            server_name: "{name}"
            http: "127.0.0.1:{monitoring_port}"
            client_advertise: "127.0.0.1:{client_port}"
            cluster {{
                name: "{self._name}"
                listen: "127.0.0.1:{routes[name]}"
                advertise: "127.0.0.1:{self._link("advertised", name, routes[name])}"
                routes: {json.dumps(others)}
                ping_interval: "1s"  # after three missing pongs, a route is closed
            }}
            {self._config}
        """
        return ClusterServer(self, name, config, port, monitoring_port, client_port)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

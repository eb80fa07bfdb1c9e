"""A cluster of real nats-servers for tests, on free ports of the loopback, gone afterwards."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Final, Self

from typing_extensions import override

from weenats.testing.nats_server import NatsServer, NatsServerError, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

_JOIN_TIMEOUT: Final = 30.0
_POLL: Final = 0.02

Link = Callable[[str, str, int], int]
"""By which port one place reaches a port of a server: that of whatever stands between them.

Arguments are the place, the name of the server, and its port. A place is the name of a server,
"client", or "hearsay": what servers tell each other of the routes of a third one.
"""


class ClusterServer(NatsServer):
    """One server of a NatsCluster: `kill`, `restart`, `pause` and the rest as of any NatsServer.

    Attributes:
        name: what the cluster calls it.
    """

    def __init__(
        self, name: str, config: str, port: int, monitoring_port: int, client_port: int
    ) -> None:
        super().__init__(config=config)
        self.name = name
        self.port = port
        self._client_port = client_port
        self._monitoring_port = monitoring_port
        self._peers: tuple[ClusterServer, ...] = ()
        self._is_paused = False

    @property
    @override
    def url(self) -> str:
        """Where clients reach it."""
        return f"nats://127.0.0.1:{self._client_port}"

    @override
    def start(self) -> Self:
        """Start, and wait until it has a route to each server that runs.

        Where these are most of the cluster, JetStream has a leader then.

        Raises:
            NatsServerError: it does not come up, or does not find the others.
        """
        self.launch()
        self.join()
        return self

    def launch(self) -> None:
        """Start, and wait until it accepts connections, whatever the others do.

        Raises:
            NatsServerError: it does not come up.
        """
        super().start()
        self._is_paused = False

    def join(self) -> None:
        """Wait until it has a route to each server that runs; see `start`.

        Raises:
            NatsServerError: it does not find them.
        """
        end = time.monotonic() + _JOIN_TIMEOUT
        while not self._has_joined():
            if time.monotonic() > end:
                text = f"{self.name} did not join its cluster:\n{self.log()}"
                raise NatsServerError(text)
            time.sleep(_POLL)

    @override
    def pause(self) -> None:
        super().pause()
        self._is_paused = True

    @override
    def resume(self) -> None:
        super().resume()
        self._is_paused = False

    def monitor(self, path: str) -> dict[str, Any]:
        """Return what its monitoring tells, at `/varz`, `/connz` or `/routez` for instance.

        Raises:
            OSError: it does not answer.
        """
        with contextlib.closing(HTTPConnection("127.0.0.1", self._monitoring_port, 5)) as asking:
            asking.request("GET", path)
            answer: dict[str, Any] = json.load(asking.getresponse())
            return answer

    def introduce(self, servers: Iterable[ClusterServer]) -> None:
        """Tell it which servers its cluster has."""
        self._peers = tuple(server for server in servers if server is not self)

    def _has_joined(self) -> bool:
        others = [peer for peer in self._peers if peer.is_running and not peer._is_paused]
        with contextlib.suppress(OSError, HTTPException, ValueError):
            # By identity: a route may still be that of a server of the same name that was killed.
            identities = {peer.monitor("/varz")["server_id"] for peer in others}
            if identities <= {
                route.get("remote_id") for route in self.monitor("/routez")["routes"]
            }:
                is_minority = 2 * (len(others) + 1) <= len(self._peers) + 1
                return is_minority or bool(self.monitor("/jsz")["meta_cluster"].get("leader"))
        return False


class NatsCluster:
    """Servers that know each other, with JetStream: `with NatsCluster(3) as cluster`.

    Args:
        size: how many servers.
        name: its name; clusters that are joined by gateways have different ones.
        config: text that is added to the configuration file of each server.
        link: what stands between the servers, so that a test can cut it; nothing by default.

    Attributes:
        servers: one object a server, each with a `url`.

    Raises:
        NatsServerError: there is no binary.
    """

    def __init__(
        self,
        size: int = 3,
        *,
        name: str = "weenats",
        config: str = "",
        link: Link = lambda _place, _server, port: port,
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
        for server in self.servers:
            server.introduce(self.servers)

    @property
    def urls(self) -> list[str]:
        """Where the servers listen: the `servers` of clients and services."""
        return [server.url for server in self.servers]

    def start(self) -> Self:
        """Start all servers and wait until they know each other and JetStream has a leader.

        Raises:
            NatsServerError: a server does not come up; the message holds its log.
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
        """End all servers and remove all that they kept."""
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
                advertise: "127.0.0.1:{self._link("hearsay", name, routes[name])}"
                routes: {json.dumps(others)}
                ping_interval: "1s"  # the others leave one that hangs after three of them
            }}
            {self._config}
        """
        return ClusterServer(name, config, port, monitoring_port, client_port)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

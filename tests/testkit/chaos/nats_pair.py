"""Two nats-servers with passwords, joined by a route that can be cut."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from testkit.chaos.connections import subscriptions
from testkit.tcp_proxy import TcpProxy
from weenats.testing import NatsServer
from weenats.testing.nats_server import free_ports

_CONFIG: Final = """\
server_name: "{name}"
http: "127.0.0.1:{monitor}"
cluster {{
  name: "chaos"
  listen: "127.0.0.1:{cluster}"
  no_advertise: true
  routes: ["nats-route://127.0.0.1:{route}"]
}}
authorization {{ users: [{users}] }}
"""
_USER: Final = '{{user: "{name}", password: "{password}", permissions: {{publish: {publish}}}}}'


@dataclass(slots=True)
class Credentials:
    """The users of the servers: their passwords, and the subjects they may not publish to."""

    passwords: dict[str, str] = field(
        default_factory=lambda: {name: name for name in ("service", "client", "stranger")}
    )
    denied: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return ", ".join(
            _USER.format(name=name, password=password, publish=self._publish(name))
            for name, password in self.passwords.items()
        )

    def _publish(self, name: str) -> str:
        return f'{{deny: "{self.denied[name]}"}}' if name in self.denied else '">"'


class RoutedServer:
    """A nats-server with a configuration file, which it can reload."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.cluster, self._monitor = free_ports(2)
        self._file = folder / f"{name}.conf"
        self._nats = NatsServer(arguments=("-c", str(self._file)))
        self.is_up = False

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._nats.port

    def configure(self, credentials: Credentials, route: int) -> None:
        """Write the configuration, with the port of the route; reload it if the server runs."""
        text = _CONFIG.format(
            name=self.name,
            monitor=self._monitor,
            cluster=self.cluster,
            route=route,
            users=credentials,
        )
        self._file.write_text(text)
        if self.is_up:
            os.kill(self._nats.process_id, signal.SIGHUP)

    async def start(self) -> None:
        """Start it, on the port that it had before."""
        await asyncio.to_thread(self._nats.start)
        self.is_up = True

    def kill(self) -> None:
        """Kill the server."""
        self.is_up = False
        self._nats.kill()

    def pause(self) -> None:
        """Pause the server."""
        self._nats.pause()

    def resume(self) -> None:
        """Resume the server."""
        self._nats.resume()

    def stop(self) -> None:
        """Stop the server for good."""
        self.is_up = False
        self._nats.stop()

    def subscriptions(self) -> dict[str, list[str]]:
        """Return the subscriptions of each connection, by its name."""
        return subscriptions(self._monitor)


class NatsPair:
    """The servers `a` and `b`; each reaches the other through a link of `routes`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.credentials = Credentials()
        self.servers = [RoutedServer(name, folder) for name in ("a", "b")]
        self.routes = [TcpProxy(server.cluster, seed=seed) for server in reversed(self.servers)]

    async def start(self) -> Self:
        """Start both."""
        for route in self.routes:
            await route.start()
        self.reload()
        for server in self.servers:
            await server.start()
        return self

    async def stop(self) -> None:
        """Stop both."""
        for route in self.routes:
            await route.stop()
        for server in self.servers:
            server.stop()

    def reload(self) -> None:
        """Let the servers reload the current credentials."""
        for server, route in zip(self.servers, self.routes, strict=True):
            server.configure(self.credentials, route.port)

    def subscriptions(self) -> dict[str, list[str]]:
        """Return the subscriptions of each connection at both servers, by its name."""
        return {
            name: subjects
            for server in self.servers
            if server.is_up
            for name, subjects in server.subscriptions().items()
        }

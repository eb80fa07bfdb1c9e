"""The processes of a run: servers, network, issuer, services and clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, Self

from testkit.chaos.child import Child, ChildError
from testkit.chaos.issuer import Issuer
from testkit.chaos.nats_pair import NatsPair
from testkit.chaos.settings import ProcessSettings
from testkit.tcp_proxy import TcpProxy

SERVICES: Final = 3
CLIENTS: Final = 3
Kind = Literal["service", "client"]


class ProcessSlot:
    """The slot of a service or a client, in which one process replaces another.

    The process in the first slot of each kind lives throughout, so that it shows leaks.
    """

    def __init__(self, environment: Environment, kind: Kind, number: int) -> None:
        self._environment = environment
        self.kind = kind
        self.number = number
        self.busy = asyncio.Lock()
        self.links = [
            TcpProxy(server.port, seed=environment.seed + number)
            for server in environment.nats.servers
        ]
        self.child: Child | None = None
        self._lives = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"

    @property
    def running(self) -> Child:
        """The current process."""
        assert self.child is not None
        return self.child

    async def start(self) -> None:
        """Start a new process."""
        self._lives += 1
        environment, name = self._environment, f"{self.kind}-{self.number}-{self._lives}"
        settings = ProcessSettings(
            name=name,
            servers=tuple(f"nats://127.0.0.1:{link.port}" for link in self.links),
            user=self.kind,
            password=self.kind,
            issuer=environment.issuer.keys_uri
            if self.kind == "service"
            else environment.issuer.tokens_uri,
            journal=str(environment.folder / f"{name}.journal"),
            seed=environment.seed * 100 + self.number * 10 + self._lives,
        )
        script = "serve_receipts.py" if self.kind == "service" else "call_receipts.py"
        self.child = Child(script, settings, environment.folder / f"{name}.log")
        await self.child.start()
        if self.kind == "client" and environment.is_calling:
            await self.child.ask("call")

    async def kill(self) -> None:
        """Kill the process."""
        self._environment.killed.add(self.running.name)
        await self.running.kill()

    async def stop(self) -> None:
        """Stop the process gracefully.

        Raises:
            ChildError: it does not.
        """
        if (code := await self.running.stop()) != 0:
            raise ChildError(f"{self.running.name} ended with {code}")


class Environment:
    """All processes of a run.

    Attributes:
        killed: the names of the processes that were killed.
        is_calling: whether clients call.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.killed: set[str] = set()
        self.is_calling = False
        self.issuer = Issuer()
        self.nats = NatsPair(folder, seed)
        self.services: list[ProcessSlot] = []
        self.clients: list[ProcessSlot] = []
        self.issuer_busy = asyncio.Lock()
        self.credentials_busy = asyncio.Lock()
        self.server_busy = [asyncio.Lock() for _ in self.nats.servers]

    @property
    def slots(self) -> Iterator[ProcessSlot]:
        """All slots."""
        yield from self.services
        yield from self.clients

    async def __aenter__(self) -> Self:
        try:
            return await self._start()
        except BaseException:
            await self._stop()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def call(self) -> None:
        """Let all clients call."""
        self.is_calling = True
        await self.ask_clients("call")

    async def rest(self) -> None:
        """Let all clients stop calling, and wait until their calls have ended."""
        self.is_calling = False
        await self.ask_clients("rest")

    async def ask_clients(self, order: str) -> list[dict[str, Any]]:
        """Send a command to all clients and return their answers."""
        return await asyncio.gather(*(slot.running.ask(order) for slot in self.clients))

    def heal(self) -> None:
        """End all faults of the network."""
        for link in [*self.nats.routes, *(link for slot in self.slots for link in slot.links)]:
            link.heal()

    async def _start(self) -> Self:
        await self.nats.start()
        self.services = [ProcessSlot(self, "service", number) for number in range(SERVICES)]
        self.clients = [ProcessSlot(self, "client", number) for number in range(CLIENTS)]
        for slot in self.slots:
            for link in slot.links:
                await link.start()
        await asyncio.gather(*(slot.start() for slot in self.slots))
        return self

    async def _stop(self) -> None:
        for slot in self.slots:
            if slot.child is not None:
                slot.child.resume()
                await slot.child.kill()
            for link in slot.links:
                await link.stop()
        await self.nats.stop()
        self.issuer.close()

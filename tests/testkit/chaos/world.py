"""What a run is made of: servers, network, issuer, services and clients."""

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


class Slot:
    """The place of a service or a client, in which one process follows another.

    The first of each kind is a witness: nothing ends it, so that it shows what time does to it.
    """

    def __init__(self, world: World, kind: Kind, number: int) -> None:
        self._world = world
        self.kind = kind
        self.number = number
        self.busy = asyncio.Lock()
        self.links = [
            TcpProxy(server.port, seed=world.seed + number) for server in world.nats.servers
        ]
        self.child: Child | None = None
        self._lives = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"

    @property
    def running(self) -> Child:
        """The process that is there."""
        assert self.child is not None
        return self.child

    async def start(self) -> None:
        """Let a new process be there."""
        self._lives += 1
        world, name = self._world, f"{self.kind}-{self.number}-{self._lives}"
        settings = ProcessSettings(
            name=name,
            servers=tuple(f"nats://127.0.0.1:{link.port}" for link in self.links),
            user=self.kind,
            password=self.kind,
            issuer=world.issuer.keys_uri if self.kind == "service" else world.issuer.tokens_uri,
            journal=str(world.folder / f"{name}.journal"),
            seed=world.seed * 100 + self.number * 10 + self._lives,
        )
        script = "serve_receipts.py" if self.kind == "service" else "call_receipts.py"
        self.child = Child(script, settings, world.folder / f"{name}.log")
        await self.child.start()
        if self.kind == "client" and world.is_calling:
            await self.child.ask("call")

    async def kill(self) -> None:
        """End the process at once."""
        self._world.killed.add(self.running.name)
        await self.running.kill()

    async def stop(self) -> None:
        """Let the process end what it has begun, and then itself.

        Raises:
            ChildError: it does not.
        """
        if (code := await self.running.stop()) != 0:
            raise ChildError(f"{self.running.name} ended with {code}")


class World:
    """Everything of a run, on this machine.

    Attributes:
        killed: the names of the processes that were ended at once.
        is_calling: whether clients call.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.killed: set[str] = set()
        self.is_calling = False
        self.issuer = Issuer()
        self.nats = NatsPair(folder, seed)
        self.services: list[Slot] = []
        self.clients: list[Slot] = []
        self.issuer_busy = asyncio.Lock()
        self.credentials_busy = asyncio.Lock()
        self.server_busy = [asyncio.Lock() for _ in self.nats.servers]

    @property
    def slots(self) -> Iterator[Slot]:
        """All places of processes."""
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
        """Let all clients rest, each once its calls have ended."""
        self.is_calling = False
        await self.ask_clients("rest")

    async def ask_clients(self, order: str) -> list[dict[str, Any]]:
        """Give an order to all clients and return their answers."""
        return await asyncio.gather(*(slot.running.ask(order) for slot in self.clients))

    def heal(self) -> None:
        """Let the network be a good one."""
        for link in [*self.nats.routes, *(link for slot in self.slots for link in slot.links)]:
            link.heal()

    async def _start(self) -> Self:
        await self.nats.start()
        self.services = [Slot(self, "service", number) for number in range(SERVICES)]
        self.clients = [Slot(self, "client", number) for number in range(CLIENTS)]
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

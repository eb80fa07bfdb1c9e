"""The faults of a run: instances and servers that are killed, and a server that is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from random import Random
from time import monotonic
from typing import Final

from testkit.cluster_faults import cut_off
from testkit.durability.processes import Slot
from testkit.network import Network
from weenats.testing import NatsServer
from weenats.testing.nats_cluster import ClusterServer, NatsCluster

_PATIENCE: Final = 120.0
_SOME: Final = 20
"""After so many commands a run goes on."""
_CUT: Final = 20.0
"""Seconds after which a server that was cut off is connected again."""
Log = Callable[[str], None]


@dataclass(slots=True)
class Progress:
    """How many commands were answered, and who waits for more."""

    done: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, done: int) -> None:
        """Note how many there are now."""
        if done != self.done:
            self.done = done
            self.changed.set()

    async def reach(self, count: int) -> None:
        """Wait until there are so many.

        Raises:
            TimeoutError: nothing happens any more.
        """
        while self.done < count:
            self.changed.clear()
            async with asyncio.timeout(_PATIENCE):
                await self.changed.wait()


Fault = Callable[[Progress], Awaitable[None]]


def kill(server: NatsServer) -> Fault:
    """Return a fault: a server is killed, and starts again."""

    async def happen(progress: Progress) -> None:
        await asyncio.to_thread(server.kill)
        if isinstance(server, ClusterServer):  # the others go on
            await progress.reach(progress.done + _SOME)
        await asyncio.to_thread(server.start)
        await progress.reach(progress.done + _SOME)

    return happen


def partition(cluster: NatsCluster, network: Network, server: ClusterServer) -> Fault:
    """Return a fault: a server is cut off from the others, until both sides have noticed.

    It does not last until there are answers: if all callers are connected to the server that is
    cut off, and all instances to others, there are none before it is connected again.
    """

    async def happen(progress: Progress) -> None:
        async with cut_off(cluster, network, server):
            with suppress(TimeoutError):
                async with asyncio.timeout(_CUT):
                    await progress.reach(progress.done + _SOME)
        await asyncio.to_thread(server.join)
        await progress.reach(progress.done + _SOME)

    return happen


async def happen_in_turn(
    faults: Sequence[tuple[str, Fault]],
    progress: Progress,
    count: int,
    seconds: float | None,
    log: Log,
) -> None:
    """Let faults happen, spread over so many commands, or over a time if that is shorter."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number, (name, fault) in enumerate(faults, start=1):
        share = number / (len(faults) + 1)
        end = None if seconds is None else start + seconds * share
        try:
            async with asyncio.timeout_at(end) as limit:
                await progress.reach(int(count * share))
        except TimeoutError:
            if not limit.expired():
                raise
        begin = monotonic()
        await fault(progress)
        log(f"{name}, after {progress.done} it goes on; {monotonic() - begin:.1f} s")


async def kill_in_turn(
    slots: Sequence[Slot], pause: float, random: Random, rounds: int | None = None
) -> None:
    """Kill one process after the other, every so many seconds, and start it again at once.

    Args:
        slots: the processes.
        pause: seconds between two kills, on average.
        random: draws the pauses.
        rounds: how often each process is killed; None until the task is cancelled.
    """
    for slot in islice(cycle(slots), None if rounds is None else rounds * len(slots)):
        await asyncio.sleep(pause * (0.5 + random.random()))
        slot.kill()
        slot.start()
        await slot.next(_PATIENCE)

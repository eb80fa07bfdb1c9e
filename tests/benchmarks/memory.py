"""Resident memory of an idle connection, a service, and a call in flight.

`python tests/benchmarks/memory.py` measures this alone.
"""

import asyncio
import ctypes
import gc
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

import fifty
import typed
from weenats import NatsServiceBuilder, NatsTransport, RequestContext
from weenats.testing import MemoryTransport, NatsServer
from weenats.testing.memory_transport import MemoryBroker
from workload import KEY, ORDER

_CONNECTIONS: Final = 100
_SERVICES: Final = 10
_CALLS: Final = 2_000


def resident() -> int:
    """Return the resident memory of this process in bytes, without what is only kept for reuse."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def _connections(url: str) -> float:
    first = NatsTransport(url)
    await first.connect()
    before = resident()
    transports = [NatsTransport(url) for _ in range(_CONNECTIONS)]
    for each in transports:
        await each.connect()
    taken = (resident() - before) / _CONNECTIONS
    for each in (first, *transports):
        await each.close()
    return taken


async def _services(_: str) -> float:
    services: list[Any] = []

    async def start() -> None:
        handlers = fifty.Fifty(commands.pop())
        service = NatsServiceBuilder(handlers, transport=MemoryTransport(MemoryBroker())).build()
        await service.start()
        services.append(service)

    commands = [fifty.operations() for _ in range(_SERVICES + 1)]
    await start()
    before = resident()
    while commands:
        await start()
    taken = (resident() - before) / _SERVICES
    for each in services:
        await each.stop()
    return taken


class _Waiting(typed.Orders):
    """Handlers that wait for `go`."""

    go: asyncio.Event
    running = 0

    @override
    async def create_order(
        self, key: str, command: typed.CreateOrder, context: RequestContext
    ) -> typed.Confirmation:
        type(self).running += 1
        await self.go.wait()
        return await super().create_order(key, command, context)


async def _calls(url: str) -> float:
    _Waiting.go = asyncio.Event()
    builder = NatsServiceBuilder(_Waiting(), servers=url)
    service = builder.with_queue_group(
        "bench", max_concurrency=1000, max_queue=_CALLS, max_queue_time=60
    )
    order = typed.CreateOrder.model_validate(ORDER)
    async with service.build(), typed.OrdersClient.connect(url) as client:
        waiting = [asyncio.create_task(client.create_order(KEY, order)) for _ in range(100)]
        await asyncio.sleep(0.2)
        before = resident()
        waiting += [
            asyncio.create_task(client.with_timeout(60).create_order(KEY, order))
            for _ in range(_CALLS - len(waiting))
        ]
        await asyncio.sleep(1)
        taken = (resident() - before) / (_CALLS - 100)
        _Waiting.go.set()
        await asyncio.gather(*waiting)
    return taken


WHAT: Final = {
    "connections": ("an idle connection", _connections),
    "services": (f"a service with {fifty.COUNT} operations", _services),
    "calls": ("a call in flight, client and server together", _calls),
}


def measure() -> dict[str, float]:
    """Return bytes of each, measured in processes of their own; nothing without /proc."""
    if not Path("/proc/self/statm").exists():
        return {}
    command = [sys.executable, __file__]
    taken: dict[str, float] = {}
    for name, (shown, _) in WHAT.items():
        done = subprocess.run([*command, name], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr)
        taken[shown] = float(done.stdout)
    return taken


def main() -> None:
    """Measure what is named, or all."""
    if not sys.argv[1:]:
        for shown, size in measure().items():
            print(f"{shown}: {size / 1024:.1f} KiB")
        return
    with NatsServer() as server:
        print(asyncio.run(WHAT[sys.argv[1]][1](server.url)))


if __name__ == "__main__":
    main()

"""A long run at half of the possible load, after which no process may hold more than before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from testkit.chaos.child import Child
from testkit.chaos.connections import subscriptions
from testkit.chaos.issuer import Issuer
from testkit.chaos.log_check import unexpected_records
from testkit.chaos.resources import resident_bytes
from testkit.chaos.settings import ProcessSettings
from weenats.testing import NatsServer
from weenats.testing.nats_server import free_ports

_WARM_UP: Final = 0.2
"""The share of the run before anything is compared, while caches fill."""
_PARTS: Final = 5
"""The run is divided into parts, and the first and the last are compared."""
_INTERVAL: Final = 0.5
_FLAT: Final = 0.05

Log = Callable[[str], None]


@dataclass(slots=True)
class SoakReport:
    """The result of a soak.

    Attributes:
        capacity: calls a second.
        load: the client's report of its calls.
        growth: by process, the share by which the median of its memory grew from the first to the
            last part of the run.
        memory: by process, MB in the first and in the last part.
        faults: what is wrong.
    """

    capacity: float = 0.0
    load: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, tuple[float, float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(
            [
                f"capacity {self.capacity:.0f} calls/s; at half of it: {self.load['outcomes']}",
                f"p50 {self.load['p50']:.2f} ms, p99 {self.load['p99']:.2f} ms",
                *(
                    f"{name}: {first:.2f} MB, then {last:.2f} MB ({last / first - 1:+.2%})"
                    for name, (first, last) in self.memory.items()
                ),
                *self.faults,
            ]
        )


async def soak(folder: Path, seconds: float, log: Log) -> SoakReport:
    """Put half of the possible load on a service for some seconds."""
    report, issuer, monitor = SoakReport(), Issuer(), free_ports(1)[0]
    with NatsServer(arguments=("-m", str(monitor))) as nats:
        service = _child("serve_receipts.py", "service", nats.url, issuer.keys_uri, folder)
        client = _child("load_receipts.py", "client", nats.url, issuer.tokens_uri, folder)
        try:
            await service.start()
            await client.start()
            await _live(service, client, monitor, seconds, report, log)
            if (code := await service.stop()) != 0:
                report.faults.append(f"the service ended with {code}")
        finally:
            await service.kill()
            await client.kill()
            issuer.close()
    report.faults += [text for child in (service, client) for text in unexpected_records(child.log)]
    return report


async def _live(
    service: Child, client: Child, monitor: int, seconds: float, report: SoakReport, log: Log
) -> None:
    patience = 2 * seconds + 60
    report.capacity = (await client.ask("measure"))["rate"]
    log(f"capacity {report.capacity:.0f} calls/s")
    rate = report.capacity / 2
    await client.ask(f"load {rate} {seconds * _WARM_UP}", patience)
    log("warm")
    before = await _held(service, client, monitor)
    loading = asyncio.create_task(client.ask(f"load {rate} {seconds}", patience))
    samples = await _watch([service, client], loading)
    report.load = await loading
    after = await _held(service, client, monitor)
    report.faults += [
        f"{what} was {first}, is {after[what]}"
        for what, first in before.items()
        if after[what] != first
    ]
    report.faults += [
        f"{times} calls ended in {outcome}"
        for outcome, times in report.load["outcomes"].items()
        if outcome != "success"
    ]
    for name, held in samples.items():
        part = len(held) // _PARTS
        first, last = median(held[:part]), median(held[-part:])
        report.memory[name] = (first / 1e6, last / 1e6)
        if last > first * (1 + _FLAT):
            report.faults.append(f"the memory of the {name} grew")


async def _watch(children: list[Child], loading: asyncio.Task[Any]) -> dict[str, list[int]]:
    """Return samples of the memory of the processes until the load ends."""
    samples: dict[str, list[int]] = {child.name: [] for child in children}
    while not loading.done():
        for child in children:
            samples[child.name].append(resident_bytes(child.process_id))
        await asyncio.wait([loading], timeout=_INTERVAL)
    return samples


async def _held(service: Child, client: Child, monitor: int) -> dict[str, int]:
    """Return the number of tasks and subscriptions of both processes."""
    tasks = {
        f"tasks of the {each.name}": (await each.ask("rest"))["tasks"] for each in (service, client)
    }
    interest = await asyncio.to_thread(subscriptions, monitor)
    return tasks | {f"subscriptions of the {name}": len(each) for name, each in interest.items()}


def _child(script: str, name: str, server: str, issuer: str, folder: Path) -> Child:
    settings = ProcessSettings(
        name=name,
        servers=(server,),
        user=name,
        password=name,
        issuer=issuer,
        journal=None,
        seed=0,
        eventful=False,
        rate_limit=1e6,
    )
    return Child(script, settings, folder / f"{name}.log")

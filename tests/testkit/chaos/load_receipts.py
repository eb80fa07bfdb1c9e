"""Put load on receipts in a process of its own: `load_receipts.py SETTINGS`.

Commands on standard input: `measure` returns the highest rate of calls; `load RATE SECONDS` calls
at a rate; `rest` returns the resource usage. The process ends at once when its parent process has
ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from dataclasses import asdict
from itertools import count
from time import monotonic, perf_counter
from typing import Final

from receipts import AddItem, ReceiptsClient
from testkit.chaos.control import commands, reply
from testkit.chaos.receipts_client import receipts_client
from testkit.chaos.recording import record
from testkit.chaos.resources import own_usage
from testkit.chaos.settings import ProcessSettings
from weenats import NotFoundError, ServiceError

_IN_FLIGHT: Final = 64
_MOST_IN_FLIGHT: Final = 256
_MEASURED: Final = 5.0
_TICK: Final = 0.01
_KEYS: Final = 50
_KEPT: Final = 10_000
_ITEM: Final = AddItem(name="Tea", price=0.1, quantity=3)


class Load:
    """Makes calls, half of them commands, half of them queries, and counts their outcomes."""

    def __init__(self, receipts: ReceiptsClient) -> None:
        self._receipts = receipts
        self._numbers = count()
        self._tasks: set[asyncio.Task[None]] = set()
        self.outcomes: Counter[str] = Counter()
        self.latencies: list[float] = []

    async def measure(self) -> float:
        """Return the calls per second with a fixed number in flight."""
        end = monotonic() + _MEASURED
        before = self.outcomes.total()

        async def keep_calling() -> None:
            while monotonic() < end:
                await self._call()

        await asyncio.gather(*(keep_calling() for _ in range(_IN_FLIGHT)))
        return (self.outcomes.total() - before) / _MEASURED

    async def load(self, rate: float, seconds: float) -> None:
        """Begin calls at a rate, whatever their outcome; calls that a pause delayed are left out.

        Else the memory of the run is that of the burst which makes up for it.
        """
        self.outcomes.clear()
        self.latencies.clear()
        begin = monotonic()
        begun = 0
        while (elapsed := monotonic() - begin) < seconds:
            due, begun = int(elapsed * rate) - begun, int(elapsed * rate)
            for _ in range(min(due, _MOST_IN_FLIGHT - len(self._tasks))):
                task = asyncio.create_task(self._call())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(_TICK)
        await asyncio.gather(*self._tasks)

    async def _call(self) -> None:
        number = next(self._numbers)
        key = f"r-{number % _KEYS}"
        begin = perf_counter()
        try:
            if number % 2:
                await self._receipts.add_item(key, _ITEM)
            else:
                await self._receipts.get_receipt(key)
            outcome = "success"
        except NotFoundError:
            outcome = "success"
        except ServiceError as error:
            outcome = error.label
        self.outcomes[outcome] += 1
        if len(self.latencies) < _KEPT:
            self.latencies.append(perf_counter() - begin)


async def main(settings: ProcessSettings) -> None:
    """Execute commands until standard input ends."""
    record()
    async with receipts_client(settings) as receipts:
        load = Load(receipts)
        reply()
        async for order in commands():
            match order.split():
                case ["measure"]:
                    reply(rate=await load.measure())
                case ["load", rate, seconds]:
                    await load.load(float(rate), float(seconds))
                    median, late = (
                        sorted(load.latencies)[int(len(load.latencies) * share)]
                        for share in (0.5, 0.99)
                    )
                    reply(outcomes=load.outcomes, p50=median * 1000, p99=late * 1000)
                case _:
                    reply(**asdict(own_usage()))
    os._exit(1)


if __name__ == "__main__":
    asyncio.run(main(ProcessSettings.parse(sys.argv[1])))

"""A publisher and a consumer of events, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from testkit.durability.processes import CONNECTION, log_to, parent_ended, stop_order
from testkit.parcels import Delivered, ParcelsClient, Recorder
from weenats import NatsTransport
from weenats.events import consume

_AT_ONCE = 16
"""How many events a publisher has in flight."""


class EventTerms(NamedTuple):
    """What the processes of a run have in common.

    Attributes:
        url: the server.
        folder: where journals and logs are.
        keys: of how many parcels each publisher publishes events.
        burst: after how many events a publisher publishes a few in a second only.
        ack_wait: seconds until the event that a killed consumer had is delivered again.
    """

    url: str
    folder: Path
    keys: int
    burst: int
    ack_wait: float = 5.0


def publish(pipe: Connection, life: str, terms: EventTerms) -> None:
    """Publish numbered events, those of a key in order, until the run sends something."""
    log_to(terms.folder, life)
    stored = 0

    async def run() -> None:
        nonlocal stored
        transport = NatsTransport(terms.url, CONNECTION)
        parcels = ParcelsClient(transport)
        numbers = ((f"{life}-{key}", number) for number in count(1) for key in range(terms.keys))
        is_over = asyncio.Event()
        busy = {key: asyncio.Lock() for key in range(terms.keys)}

        async def work() -> None:
            nonlocal stored
            while not is_over.is_set():
                key, number = next(numbers)
                async with busy[int(key.rpartition("-")[2])]:
                    await parcels.publish_delivered(key, Delivered(count=number), timeout=60)
                journal.write(json.dumps((key, number)) + "\n")
                stored += 1
                if stored > terms.burst:
                    await asyncio.sleep(1)

        with (terms.folder / f"{life}.published").open("w") as journal:
            workers = [asyncio.create_task(work()) for _ in range(min(_AT_ONCE, terms.keys))]
            await stop_order(pipe, lambda: stored)
            is_over.set()
            await asyncio.gather(*workers)
        await transport.close()
        pipe.send((stored,))

    asyncio.run(run())


def process(pipe: Connection, life: str, terms: EventTerms) -> None:
    """Consume events until the process is killed, or until the run sends something."""
    log_to(terms.folder, life)
    flags = os.O_APPEND | os.O_CREAT | os.O_WRONLY
    journal = os.open(terms.folder / f"{life}.effects", flags, 0o600)

    async def act(event: Any) -> None:
        """Leave a trace that survives the process, a moment before the acknowledgement."""
        effect = (monotonic(), event.sequence, event.key, event.data.count)
        os.write(journal, json.dumps(effect).encode() + b"\n")
        await asyncio.sleep(0)

    async def run() -> None:
        transport = NatsTransport(terms.url, CONNECTION)
        async with await consume(transport, Recorder(act), "billing", ack_wait=terms.ack_wait):
            pipe.send("consumes")
            await parent_ended(pipe)
        await transport.close()

    asyncio.run(run())

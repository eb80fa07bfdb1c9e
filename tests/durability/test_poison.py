"""An event that kills every process which processes it does not block those after it."""

from __future__ import annotations

import asyncio
import os
import signal
from multiprocessing.connection import Connection
from typing import Any

from testkit.forks import fork
from testkit.parcels import (
    PARCELS_EVENTS_STREAM,
    Delivered,
    ParcelsClient,
    Recorder,
    parcel_streams,
)
from weenats import NatsTransport
from weenats.events import consume
from weenats.streams.dead_letters import DeadLetters
from weenats.testing import NatsServer

_POISON = 1
_PROCESSES = 4


def serve(pipe: Connection, url: str) -> None:
    """Process events; one of them kills the process."""

    async def act(event: Any) -> None:
        if event.data.count == _POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        pipe.send(event.data.count)

    async def run() -> None:
        transport = NatsTransport(url)
        await consume(transport, Recorder(act), "billing", ack_wait=0.5, max_deliver=1)
        await asyncio.Event().wait()

    asyncio.run(run())


async def test_event_that_kills_processes(own_nats_server: NatsServer) -> None:
    """After two deaths it is a dead letter, and the next process goes on behind it."""
    url, seen, deaths = own_nats_server.url, list[int](), 0
    async with parcel_streams(url) as transport:
        for count in range(3):
            await ParcelsClient(transport).publish_delivered("p-1", Delivered(count=count))
        while deaths < _PROCESSES and 2 not in seen:
            with fork(serve, url) as process:
                try:
                    while 2 not in seen:
                        seen.append(await process.receive())
                except (EOFError, ConnectionResetError):
                    deaths += 1
        letters = DeadLetters(transport, PARCELS_EVENTS_STREAM)
        [letter] = [each async for each in letters.list()]
    assert [*dict.fromkeys(seen)] == [0, 2]
    assert deaths == 2
    assert (letter.reason, letter.error, letter.event_sequence) == ("ABORTED", "ProcessDied", 2)

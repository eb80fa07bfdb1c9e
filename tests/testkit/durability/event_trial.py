"""A run of events: two publishers, and three consumers that are killed in turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from math import inf
from random import Random
from time import monotonic
from typing import Final

from testkit.durability.events import EventRun, StoredNumber, check, read_effects, read_published
from testkit.durability.faults import kill_in_turn
from testkit.durability.findings import Findings
from testkit.durability.parcel_processes import EventTerms, process, publish
from testkit.durability.processes import Slot, cancel
from testkit.parcels import PARCELS_EVENTS_STREAM, parcel_streams
from weenats import NatsTransport
from weenats.streams.consumer_states import consumer_states
from weenats.transport.jetstream import JetStream

PUBLISHERS: Final = 2
_CONSUMERS: Final = 3
_PATIENCE: Final = 300.0
_POLL: Final = 0.1


@dataclass(slots=True)
class EventReport:
    """What came of a run."""

    events: int = 0
    effects: int = 0
    repeated: int = 0
    kills: int = 0
    seconds: float = 0.0
    findings: Findings = field(default_factory=Findings)

    def __str__(self) -> str:
        return (
            f"{self.events:,} events, processed {self.effects:,} times in {self.seconds:.0f} s,"
            f" {self.kills} consumers killed, {self.repeated} events repeated by that\n"
            f"{self.findings}"
        )


class EventTrial:
    """Consumers that are killed while events are published.

    Args:
        terms: what the processes have in common.
        count: how many events are published at least.
        pause: seconds between two kills.
        seed: of the pauses.
        seconds: after how long publishing stops; None when there are enough events.
        rounds: how often each consumer is killed; None while there are events.
    """

    def __init__(
        self,
        terms: EventTerms,
        count: int,
        *,
        pause: float,
        seed: int,
        seconds: float | None = None,
        rounds: int | None = None,
    ) -> None:
        self._terms = terms
        self._count = count
        self._pause = pause
        self._random = Random(seed)
        self._rounds = rounds
        self._seconds = inf if seconds is None else seconds
        self._publishers = [Slot(f"publisher-{n}", publish, terms) for n in range(PUBLISHERS)]
        self._consumers = [Slot(f"consumer-{n}", process, terms) for n in range(_CONSUMERS)]

    async def run(self) -> EventReport:
        """Run it, and check what came of it."""
        async with AsyncExitStack() as stack:
            transport = await stack.enter_async_context(parcel_streams(self._terms.url))
            slots = [*self._consumers, *self._publishers]
            for slot in slots:
                stack.callback(slot.end)
                slot.start()
            for slot in self._consumers:
                await slot.next(_PATIENCE)
            begin = monotonic()
            killing = asyncio.create_task(
                kill_in_turn(self._consumers, self._pause, self._random, self._rounds)
            )
            stack.push_async_callback(cancel, killing)
            await self._publish(killing)
            await self._processed(transport, killing)
            await cancel(killing)
            return await self._judge(transport, monotonic() - begin)

    async def _publish(self, killing: asyncio.Task[None]) -> None:
        """Wait until enough is published, and each consumer was killed."""
        stored = dict.fromkeys(self._publishers, 0)
        end = monotonic() + self._seconds
        while not (
            (sum(stored.values()) >= self._count or monotonic() > end)
            and all(each.kills for each in self._consumers)
        ):
            for slot in self._publishers:
                stored[slot] = max([stored[slot], *slot.news()])
            if killing.done():
                killing.result()
            await asyncio.sleep(_POLL)
        for slot in self._publishers:
            slot.send("stop")
        for slot in self._publishers:
            while not isinstance(await slot.next(_PATIENCE), tuple):
                pass

    async def _processed(self, transport: NatsTransport, killing: asyncio.Task[None]) -> None:
        """Wait until nothing is left, while kills go on."""
        while True:
            states = await consumer_states(transport, PARCELS_EVENTS_STREAM)
            if not any(each.pending or each.unacknowledged for each in states):
                return
            if killing.done():
                killing.result()
            await asyncio.sleep(_POLL)

    async def _judge(self, transport: NatsTransport, seconds: float) -> EventReport:
        folder = self._terms.folder
        killed = [life for slot in self._consumers for life in slot.killed]
        effects = list(read_effects(sorted(folder.glob("*.effects"))))
        stored = [each async for each in _stored(transport)]
        published = read_published(sorted(folder.glob("*.published")))
        findings, repeated = check(EventRun(published, stored, effects, killed))
        return EventReport(
            len(stored),
            len(effects),
            repeated,
            len(killed),
            seconds,
            findings,
        )


async def _stored(transport: NatsTransport) -> AsyncIterator[StoredNumber]:
    """Yield the events of the stream."""
    async for each in JetStream(transport).read(PARCELS_EVENTS_STREAM.name):
        body = json.loads(each.payload)
        name = body["aggregate"]["key"], body["data"]["count"]
        yield StoredNumber(each.sequence, int(each.subject.split(".")[2]), name)

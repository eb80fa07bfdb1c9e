"""A run of commands: callers, instances and projections that are killed in turn, servers that fail.

The projection is rebuilt now and then.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from random import Random
from time import monotonic
from typing import Final

from testkit.durability.commands import (
    CommandRun,
    Wallet,
    commit_of,
    event_of,
    read_calls,
)
from testkit.durability.commands_check import check
from testkit.durability.faults import Fault, Log, Progress, happen_in_turn, kill_in_turn
from testkit.durability.findings import Findings
from testkit.durability.processes import CONNECTION, Slot, cancel
from testkit.durability.wallet_processes import SEEN, Terms, call, project, serve
from testkit.waiting import LIMIT, answered
from testkit.wallets import wallets
from weenats import NatsTransport, ServiceError
from weenats.aggregates.aggregates import streams_of
from weenats.projections.builder import ProjectionBuilder
from weenats.streams import apply_streams, plan_streams
from weenats.transport.jetstream import JetStream, StoredMessage

_INSTANCES: Final = 3
_PROJECTIONS: Final = 2
_PATIENCE: Final = 300.0
_POLL: Final = 0.1
_COMMITS, _EVENTS = "wallets-commits", "wallets-events"


@dataclass(slots=True)
class Report:
    """What came of a run."""

    commands: int = 0
    seconds: float = 0.0
    kills: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    commits: int = 0
    events: int = 0
    keys: int = 0
    rebuilt: int = 0
    findings: Findings = field(default_factory=Findings)

    def __str__(self) -> str:
        outcomes = ", ".join(f"{name} {count:,}" for name, count in self.outcomes.most_common())
        size = f"{self.commands:,} commands over {self.keys:,} keys in {self.seconds:.0f} s"
        return "\n".join(
            [
                f"{size}, {self.kills} processes killed, {self.rebuilt} rebuilds",
                f"requests: {outcomes}",
                f"{self.commits:,} commits, {self.events:,} durable events",
                str(self.findings),
            ]
        )


class CommandTrial:
    """Callers that send commands while instances and servers fail.

    Args:
        terms: what the processes have in common.
        count: how many commands are answered at least.
        faults: of servers, each of which happens once.
        pause: seconds between two kills of instances.
        seconds: after how long the callers stop, once all faults have happened; None when there are
            enough commands.
        callers: how many processes send commands.
        rounds: how often each instance is killed; None while commands are sent.
        log: prints a line.
    """

    def __init__(
        self,
        terms: Terms,
        count: int,
        *,
        faults: Sequence[tuple[str, Fault]] = (),
        pause: float,
        seconds: float | None = None,
        callers: int = 4,
        rounds: int | None = None,
        log: Log,
    ) -> None:
        self._terms = terms
        self._count = count
        self._faults = faults
        self._pause = pause
        self._seconds = seconds
        self._log = log
        self._rounds = rounds
        self._report = Report(keys=terms.keys)
        self._instances = [Slot(f"service-{n}", serve, terms) for n in range(_INSTANCES)]
        self._projections = [Slot(f"view-{n}", project, terms) for n in range(_PROJECTIONS)]
        self._callers = [Slot(f"caller-{n}", call, n, terms) for n in range(callers)]

    async def run(self) -> Report:
        """Run it, and check what came of it."""
        async with AsyncExitStack() as stack:
            transport = NatsTransport(self._terms.urls, CONNECTION)
            stack.push_async_callback(transport.close)
            await _create_streams(transport, self._terms.replicas)
            for slot in (*self._instances, *self._projections, *self._callers):
                stack.callback(slot.end)
            await self._start()
            await self._live(transport)
            self._report.kills = sum(each.kills for each in self._killed)
            await _settled(transport)
            await self._judge(transport)
        return self._report

    @property
    def _killed(self) -> list[Slot]:
        return [*self._instances, *self._projections]

    async def _start(self) -> None:
        for slot in self._killed:
            slot.start()
        for slot in self._killed:
            await slot.next(_PATIENCE)
        for slot in self._callers:
            slot.start()

    async def _live(self, transport: NatsTransport) -> None:
        """Let callers send commands until there are enough, and everything has failed once."""
        progress, begin = Progress(), monotonic()
        random = Random(self._terms.seed)
        killing = asyncio.create_task(kill_in_turn(self._killed, self._pause, random, self._rounds))
        rebuilding = asyncio.create_task(self._rebuild(transport))
        failing = asyncio.create_task(
            happen_in_turn(self._faults, progress, self._count, self._seconds, self._log)
        )
        answered = dict.fromkeys(self._callers, 0)
        end = begin + (inf if self._seconds is None else self._seconds)
        try:
            while not (
                failing.done()
                and all(each.kills for each in self._killed)
                and (progress.done >= self._count or monotonic() > end)
            ):
                for slot in self._callers:
                    answered[slot] = max([answered[slot], *slot.news()])
                progress.set(sum(answered.values()))
                for task in (killing, failing, rebuilding):
                    if task.done():
                        task.result()
                await asyncio.sleep(_POLL)
            for slot in self._callers:
                slot.send("stop")
            for slot in self._callers:
                await self._last(slot)
        finally:
            await cancel(killing, failing, rebuilding)
        self._report.seconds = monotonic() - begin

    async def _rebuild(self, transport: NatsTransport) -> None:
        """Rebuild the projection again and again, whatever fails meanwhile."""
        while True:
            builder = ProjectionBuilder(SEEN, transport)
            with suppress(ServiceError):
                await builder.create()
                await builder.build()
                await builder.remove_outdated(0.0)
                self._report.rebuilt += 1
            await asyncio.sleep(2 * self._pause)

    async def _last(self, slot: Slot) -> None:
        """Add what a caller has counted."""
        while not isinstance(what := await slot.next(_PATIENCE), tuple):
            pass
        answered, outcomes = what
        self._report.commands += answered
        self._report.outcomes.update(outcomes)

    async def _judge(self, transport: NatsTransport) -> None:
        """Read the streams, and check them."""
        begin, terms, report = monotonic(), self._terms, self._report
        commits = [
            commit_of(each.sequence, each.subject, each.payload)
            for each in await _read(transport, _COMMITS)
        ]
        events = [event_of(each.sequence, each.payload) for each in await _read(transport, _EVENTS)]
        report.commits, report.events = len(commits), len(events)
        async with wallets.WalletsClient.connect(terms.urls, connection=CONNECTION) as client:
            states = {}
            for key in sorted({each.subject_key for each in commits}):
                found = await answered(partial(client.get_wallet, key, timeout=LIMIT))
                states[key] = (found.revision, Wallet(found.state.balance, found.state.changes))
        async with SEEN.run(transport) as seen, asyncio.timeout(_PATIENCE):
            await seen.caught_up()
            view = {key: value async for (key,), value in (await seen.view()).items()}
        journals = sorted(terms.folder.glob("*.journal"))
        report.findings = check(CommandRun(read_calls(journals), commits, events, states, view))
        self._log(f"checked in {monotonic() - begin:.0f} s")


async def _create_streams(transport: NatsTransport, replicas: int) -> None:
    """Create the streams, once the cluster can."""

    async def create() -> None:
        for config in streams_of("wallets", replicas=replicas):
            await JetStream(transport).create_stream(config)
        streams = [replace(each, replicas=replicas) for each in wallets.CONTRACT.streams]
        await apply_streams(transport, await plan_streams(transport, streams))

    await answered(create)


async def _settled(transport: NatsTransport) -> None:
    """Wait until all events were sent on."""
    jetstream = JetStream(transport)
    async with asyncio.timeout(_PATIENCE):
        while True:
            with suppress(ServiceError):
                info = await jetstream.stream_info(_COMMITS)
                found = await jetstream.consumers(_COMMITS)  # those that have a leader
                is_idle = not any(each.pending or each.unacknowledged for each in found)
                if is_idle and len(found) == info.consumers > 0:
                    return
            await asyncio.sleep(_POLL)


async def _read(transport: NatsTransport, name: str) -> list[StoredMessage]:
    """Read a stream to its end, without gaps; the replica that is asked may be behind at first.

    Raises:
        TimeoutError: nothing more was read for a long time.
    """
    jetstream, found = JetStream(transport), list[StoredMessage]()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_PATIENCE) as limit:
        while True:
            info = await answered(lambda: jetstream.stream_info(name))
            with suppress(ServiceError):  # it goes on where it was interrupted
                async for each in jetstream.read(name, start=len(found) + 1):
                    found.append(each)
                    limit.reschedule(loop.time() + _PATIENCE)
            if len(found) >= info.messages:
                break
            await asyncio.sleep(_POLL)
    assert [each.sequence for each in found] == list(range(1, info.last_sequence + 1)), name
    return found

"""A run of chaos: a calm, a storm, a calm, and what is found in the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from testkit.chaos.breakages import FAULTS
from testkit.chaos.child import ChildError
from testkit.chaos.history import history_of
from testkit.chaos.log_check import objections
from testkit.chaos.model import violations
from testkit.chaos.schedule import Step, plan
from testkit.chaos.vitals import Vitals, changes
from testkit.chaos.world import World

_WARM_UP: Final = 3.0
_PATIENCE: Final = 60.0
_PAUSE: Final = 0.5

Say = Callable[[str], None]


@dataclass(slots=True)
class Report:
    """What came of a run.

    Attributes:
        steps: what was done.
        outcomes: how often calls ended in what.
        executions: how many requests handlers began.
        retried: how many of them were second attempts, or later ones.
        memory: of the witnesses, in MB, before and after.
        faults: what must not be.
    """

    steps: list[Step]
    outcomes: Counter[str] = field(default_factory=Counter[str])
    executions: int = 0
    retried: int = 0
    memory: dict[str, tuple[float, float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        hits = Counter(step.fault for step in self.steps)
        return "\n".join(
            [
                f"{len(self.steps)} steps: "
                + ", ".join(f"{name} {count}" for name, count in sorted(hits.items())),
                f"{self.outcomes.total()} calls: "
                + ", ".join(f"{name} {count}" for name, count in self.outcomes.most_common()),
                f"{self.executions} executions, {self.retried} of them retries by policy",
                *(
                    f"{name}: {before:.1f} MB, then {after:.1f} MB"
                    for name, (before, after) in self.memory.items()
                ),
                *self.faults,
            ]
        )


async def run(folder: Path, seed: int, seconds: float, say: Say) -> Report:
    """Do to a world what the seed says, for so long, and judge it."""
    report = Report(plan(seed, seconds, list(FAULTS)))
    async with World(folder, seed) as world:
        try:
            await _live(world, report, say)
        except ChildError as error:
            report.faults.append(str(error))
    _judge(folder, world.killed, report)
    return report


async def _live(world: World, report: Report, say: Say) -> None:
    await world.call()
    await asyncio.sleep(_WARM_UP)
    await world.rest()
    report.faults += await _proven(world)
    before, interest = _levelled(await _vitals(world)), _interest(world)
    await world.call()
    report.faults += await _storm(world, report.steps, say)
    world.heal()
    await world.rest()
    report.faults += await _proven(world)
    report.faults += await _settled(world, before, interest, report)
    await asyncio.gather(*(slot.stop() for slot in world.services))


async def _storm(world: World, steps: list[Step], say: Say) -> list[str]:
    """Let every fault begin in its time, and wait until all are made good."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    faults = []
    for step in steps:
        await asyncio.sleep(begin + step.at - loop.time())
        say(str(step))
        faults.append(
            loop.create_task(FAULTS[step.fault](world, step.which, step.lasting), name=str(step))
        )
    await asyncio.wait(faults)
    return [f"{each.get_name()}: {each.exception()!r}" for each in faults if each.exception()]


async def _proven(world: World) -> list[str]:
    """Return what never comes through for a client, however long one waits."""
    missing: dict[str, Any] = {}
    for _ in range(int(_PATIENCE / _PAUSE)):
        answers = await world.ask_clients("prove")
        missing = {
            slot.running.name: answer
            for slot, answer in zip(world.clients, answers, strict=True)
            if answer
        }
        if not missing:
            break
        await asyncio.sleep(_PAUSE)
    return [f"{name} cannot do what it could: {what}" for name, what in missing.items()]


async def _vitals(world: World) -> dict[str, Vitals]:
    """Return what each place's process holds."""
    answers = await asyncio.gather(*(slot.running.ask("rest") for slot in world.slots))
    return {str(slot): Vitals(**each) for slot, each in zip(world.slots, answers, strict=True)}


def _levelled(vitals: dict[str, Vitals]) -> dict[str, Vitals]:
    """Return vitals with the tasks that a process of the kind needs: those of the least busy."""
    least: dict[str, int] = {}
    for place, each in vitals.items():
        kind = place.split()[0]
        least[kind] = min(each.tasks, least.get(kind, each.tasks))
    return {place: replace(each, tasks=least[place.split()[0]]) for place, each in vitals.items()}


def _interest(world: World) -> dict[str, list[int]]:
    """Return, for each kind of connection, how many subscriptions each of them has."""
    found: dict[str, list[int]] = {"service": [], "client": []}
    for name, subjects in world.nats.subscriptions().items():
        found.setdefault(name.partition("-")[0], []).append(len(subjects))
    return {kind: sorted(counts) for kind, counts in found.items()}


async def _settled(
    world: World, before: dict[str, Vitals], interest: dict[str, list[int]], report: Report
) -> list[str]:
    """Return what is not as it was before the storm, however long one waits."""
    faults: list[str] = []
    after = before
    for _ in range(int(_PATIENCE / _PAUSE)):
        after = await _vitals(world)
        faults = [
            f"{place} {change}"
            for place in before
            for change in changes(before[place], after[place])
        ]
        if (now := _interest(world)) != interest:
            faults.append(f"subscriptions are {now}, not {interest}")
        if not faults:
            break
        await asyncio.sleep(_PAUSE)
    for place in map(str, (world.services[0], world.clients[0])):
        report.memory[place] = (before[place].resident / 1e6, after[place].resident / 1e6)
    return faults


def _judge(folder: Path, killed: set[str], report: Report) -> None:
    """Add what journals and logs tell."""
    history = history_of(sorted(folder.glob("*.journal")), killed)
    report.outcomes.update(each for call in history.calls.values() for each in call.outcomes)
    report.executions = len(history.executions)
    report.retried = sum(each.attempt > 1 for each in history.executions)
    report.faults += violations(history)
    report.faults += [text for log in sorted(folder.glob("*.log")) for text in objections(log)]

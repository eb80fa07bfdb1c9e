"""A run of chaos: calls without faults, with faults, and without faults again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any, Final

from testkit.chaos.child import ChildError
from testkit.chaos.environment import Environment
from testkit.chaos.faults import FAULTS, target
from testkit.chaos.history import history_of
from testkit.chaos.log_check import unexpected_records
from testkit.chaos.model import AFTERMATH, Disturbance, violations
from testkit.chaos.resources import ResourceUsage, changes
from testkit.chaos.schedule import Step, plan

_WARM_UP: Final = 3.0
_PATIENCE: Final = 60.0
_PAUSE: Final = 0.5

Log = Callable[[str], None]


@dataclass(slots=True)
class Report:
    """The result of a run.

    Attributes:
        steps: the faults in their order.
        outcomes: how many calls ended in which outcome.
        executions: how many requests handlers began.
        retried: how many of them were second attempts, or later ones.
        disturbances: what the faults affected, and when.
        memory: of the processes that live throughout, in MB, before and after.
        faults: what is wrong.
    """

    steps: list[Step]
    outcomes: Counter[str] = field(default_factory=Counter[str])
    executions: int = 0
    retried: int = 0
    disturbances: list[Disturbance] = field(default_factory=list)
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


async def run(folder: Path, seed: int, seconds: float, log: Log) -> Report:
    """Run the faults of a seed for some seconds, and check what came of it."""
    report = Report(plan(seed, seconds, list(FAULTS)))
    async with Environment(folder, seed) as environment:
        try:
            await _live(environment, report, log)
        except ChildError as error:
            report.faults.append(str(error))
    _judge(folder, environment.killed, report)
    return report


async def _live(environment: Environment, report: Report, log: Log) -> None:
    await environment.call()
    await asyncio.sleep(_WARM_UP)
    await environment.rest()
    report.faults += await _proven(environment)
    before, interest = _equalized(await _usages(environment)), _interest(environment)
    await environment.call()
    report.faults += await _storm(environment, report, log)
    environment.heal()
    await environment.rest()
    report.faults += await _proven(environment)
    await asyncio.sleep(AFTERMATH)
    await environment.call()
    await asyncio.sleep(_WARM_UP)
    await environment.rest()
    report.faults += await _settled(environment, before, interest, report)
    await asyncio.gather(*(slot.stop() for slot in environment.services))


async def _storm(environment: Environment, report: Report, log: Log) -> list[str]:
    """Start each fault at its time, and wait until all are over."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    faults = []

    async def inject(step: Step) -> None:
        whom, began = target(step.fault, environment, step.which), monotonic()
        try:
            await FAULTS[step.fault](environment, step.which, step.lasting)
        finally:
            report.disturbances.append(Disturbance(whom, began, monotonic(), step.fault))

    for step in report.steps:
        await asyncio.sleep(begin + step.at - loop.time())
        log(str(step))
        faults.append(loop.create_task(inject(step), name=str(step)))
    await asyncio.wait(faults)
    return [f"{each.get_name()}: {each.exception()!r}" for each in faults if each.exception()]


async def _proven(environment: Environment) -> list[str]:
    """Return the operations that do not succeed for a client within a minute."""
    missing: dict[str, Any] = {}
    for _ in range(int(_PATIENCE / _PAUSE)):
        answers = await environment.ask_clients("prove")
        missing = {
            slot.running.name: answer
            for slot, answer in zip(environment.clients, answers, strict=True)
            if answer
        }
        if not missing:
            break
        await asyncio.sleep(_PAUSE)
    return [f"{name} cannot do what it could: {what}" for name, what in missing.items()]


async def _usages(environment: Environment) -> dict[str, ResourceUsage]:
    """Return the resource usage of the process in each slot."""
    answers = await asyncio.gather(*(slot.running.ask("rest") for slot in environment.slots))
    return {
        str(slot): ResourceUsage(**each)
        for slot, each in zip(environment.slots, answers, strict=True)
    }


def _equalized(usages: dict[str, ResourceUsage]) -> dict[str, ResourceUsage]:
    """Return usages with the number of tasks that an idle process of the kind has."""
    least: dict[str, int] = {}
    for place, each in usages.items():
        kind = place.split()[0]
        least[kind] = min(each.tasks, least.get(kind, each.tasks))
    return {place: replace(each, tasks=least[place.split()[0]]) for place, each in usages.items()}


def _interest(environment: Environment) -> dict[str, list[int]]:
    """Return, for each kind of process, the number of subscriptions of each connection."""
    found: dict[str, list[int]] = {"service": [], "client": []}
    for name, subjects in environment.nats.subscriptions().items():
        found.setdefault(name.partition("-")[0], []).append(len(subjects))
    return {kind: sorted(counts) for kind, counts in found.items()}


async def _settled(
    environment: Environment,
    before: dict[str, ResourceUsage],
    interest: dict[str, list[int]],
    report: Report,
) -> list[str]:
    """Return what is not as before the faults within a minute."""
    faults: list[str] = []
    after = before
    for _ in range(int(_PATIENCE / _PAUSE)):
        after = await _usages(environment)
        faults = [
            f"{place} {change}"
            for place in before
            for change in changes(before[place], after[place])
        ]
        if (now := _interest(environment)) != interest:
            faults.append(f"subscriptions are {now}, not {interest}")
        if not faults:
            break
        await asyncio.sleep(_PAUSE)
    for place in map(str, (environment.services[0], environment.clients[0])):
        report.memory[place] = (before[place].resident / 1e6, after[place].resident / 1e6)
    return faults


def _judge(folder: Path, killed: set[str], report: Report) -> None:
    """Add what journals and logs show."""
    history = history_of(sorted(folder.glob("*.journal")), killed, report.disturbances)
    report.outcomes.update(each for call in history.calls.values() for each in call.outcomes)
    report.executions = len(history.executions)
    report.retried = sum(each.attempt > 1 for each in history.executions)
    report.faults += violations(history)
    report.faults += [
        text for log in sorted(folder.glob("*.log")) for text in unexpected_records(log)
    ]

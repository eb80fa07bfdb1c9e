"""What publishers, the stream and consumers have of the events of a run, and its checker."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from testkit.durability.findings import Findings

KINDS: Final = (
    "lost",
    "doubled",
    "out of order",
    "not processed",
    "repeated without a death",
    "unknown event",
)
EventName = tuple[str, int]
"""The key of an event, and its number among those of the key."""


class StoredNumber(NamedTuple):
    """An event as it is in the stream."""

    sequence: int
    partition: int
    name: EventName


class Effect(NamedTuple):
    """What a consumer did for an event, before it was acknowledged.

    Attributes:
        life: the process.
        at: when, on the monotonic clock of the machine.
        sequence: of the event in the stream.
        name: of the event.
    """

    life: str
    at: float
    sequence: int
    name: EventName


class EventRun(NamedTuple):
    """All that is known of a run.

    Attributes:
        acknowledged: the events whose publishing succeeded.
        stored: the whole stream, in its order.
        effects: what consumers did.
        killed: the processes that were killed.
    """

    acknowledged: Iterable[EventName]
    stored: Iterable[StoredNumber]
    effects: Iterable[Effect]
    killed: Collection[str]


class Checked(NamedTuple):
    """What is wrong with a run, and how often an event was processed again after a death."""

    findings: Findings
    repeated: int


def check(run: EventRun) -> Checked:
    """Return what is wrong with a run.

    Of each partition one event is on its way at a time. So an event may be repeated only if it is
    the last one of its partition for which a killed process did something.
    """
    findings = Findings.of(KINDS)
    stored = _stored(run, findings)
    of_event: defaultdict[int, list[Effect]] = defaultdict(list)
    last: dict[tuple[str, int], int] = {}
    done: dict[str, int] = {}
    for effect in sorted(run.effects, key=lambda each: each.at):
        event = stored.get(effect.sequence)
        key, what = effect.name[0], f"{effect.name}, sequence {effect.sequence}, by {effect.life}"
        if event is None or event.name != effect.name:
            findings.add("unknown event", what)
            continue
        if effect.sequence < done.get(key, 0):
            findings.add("out of order", f"{what}, after {done[key]}")
        done[key] = max(effect.sequence, done.get(key, 0))
        last[effect.life, event.partition] = effect.sequence
        of_event[effect.sequence].append(effect)
    for event in stored.values():
        if event.sequence not in of_event:
            findings.add("not processed", f"{event.name}, sequence {event.sequence}")
    repeated = 0
    for sequence, effects in of_event.items():
        partition = stored[sequence].partition
        for first, _ in pairwise(effects):
            if first.life in run.killed and last[first.life, partition] == sequence:
                repeated += 1
            else:
                findings.add("repeated without a death", f"{first.name} by {first.life}")
    return Checked(findings, repeated)


def _stored(run: EventRun, findings: Findings) -> dict[int, StoredNumber]:
    """Compare the stream with what was published; return its events by sequence."""
    stored: dict[int, StoredNumber] = {}
    seen: set[EventName] = set()
    numbers: dict[str, int] = {}
    for event in run.stored:
        stored[event.sequence] = event
        if event.name in seen:
            findings.add("doubled", f"{event.name} is stored twice")
        seen.add(event.name)
        key, number = event.name
        if number < numbers.get(key, 0):
            findings.add("out of order", f"{event.name} is stored after {numbers[key]}")
        numbers[key] = max(number, numbers.get(key, 0))
    for name in run.acknowledged:
        if name not in seen:
            findings.add("lost", f"{name} was acknowledged and is not stored")
    return stored


def read_published(journals: Iterable[Path]) -> Iterator[EventName]:
    """Yield the events in the journals of publishers."""
    for path in journals:
        with path.open() as lines:
            for line in lines:
                key, number = json.loads(line)
                yield key, number


def read_effects(journals: Iterable[Path]) -> Iterator[Effect]:
    """Yield the effects in the journals of consumers, each named after its process."""
    for path in journals:
        with path.open() as lines:
            for line in lines:
                at, sequence, key, number = json.loads(line)
                yield Effect(path.stem, at, sequence, (key, number))

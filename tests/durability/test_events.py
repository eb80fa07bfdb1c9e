"""Events while consumers are killed: none is lost or out of order; a checker looks at all of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import randrange
from typing import Any

import pytest

from testkit.durability.event_trial import EventTrial
from testkit.durability.events import (
    KINDS,
    Effect,
    EventRun,
    StoredNumber,
    check,
    read_effects,
    read_published,
)
from testkit.durability.parcel_processes import EventTerms
from weenats.testing import NatsServer

SEED = int(os.environ.get("SEED") or randrange(1, 2**31))


@pytest.mark.timing  # an event whose consumer stalls longer than ack_wait is processed twice
async def test_killed_consumers(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """2,000 events, and each of three consumers is killed."""
    terms = EventTerms(own_nats_server.url, tmp_path, keys=20, burst=1000)
    report = await EventTrial(terms, 2000, pause=0.5, seed=SEED, rounds=1).run()
    print(report)
    assert report.findings.kinds == set()
    assert report.events >= 2000
    assert report.effects == report.events + report.repeated
    assert report.kills >= 3


Parts = dict[str, Any]


def sound() -> Parts:
    """Return the parts of a run with everything that may happen: one event is repeated."""
    a1, a2, b1 = ("a", 1), ("a", 2), ("b", 1)
    return {
        "acknowledged": [a1, a2, b1],
        "stored": [StoredNumber(1, 0, a1), StoredNumber(2, 0, a2), StoredNumber(3, 1, b1)],
        "effects": [
            Effect("c-0.1", 1.0, 1, a1),
            Effect("c-0.1", 2.0, 2, a2),
            Effect("c-1.1", 2.5, 3, b1),
            Effect("c-1.1", 8.0, 2, a2),
        ],
        "killed": ["c-0.1"],
    }


def test_sound_run() -> None:
    """An event whose consumer died before its acknowledgement may be repeated."""
    findings, repeated = check(EventRun(**sound()))
    assert findings.kinds == set()
    assert set(findings.counts) == set(KINDS)
    assert repeated == 1


def _lose(parts: Parts) -> None:
    parts["acknowledged"].append(("b", 2))


def _store_twice(parts: Parts) -> None:
    parts["stored"].append(StoredNumber(4, 1, ("b", 1)))


def _store_out_of_order(parts: Parts) -> None:
    parts["stored"][:2] = [StoredNumber(1, 0, ("a", 2)), StoredNumber(2, 0, ("a", 1))]


def _skip(parts: Parts) -> None:
    del parts["effects"][2]


def _process_out_of_order(parts: Parts) -> None:
    parts["effects"][0] = Effect("c-0.1", 2.2, 1, ("a", 1))


def _repeat_what_was_acknowledged(parts: Parts) -> None:
    parts["effects"].append(Effect("c-1.1", 1.5, 1, ("a", 1)))


def _repeat_without_a_death(parts: Parts) -> None:
    parts["killed"] = []


def _process_what_is_not_stored(parts: Parts) -> None:
    parts["effects"].append(Effect("c-1.1", 9.0, 4, ("b", 2)))


def _process_another_event(parts: Parts) -> None:
    parts["effects"][2] = Effect("c-1.1", 2.5, 3, ("b", 2))


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (_lose, "lost"),
        (_store_twice, "doubled"),
        (_store_out_of_order, "out of order"),
        (_skip, "not processed"),
        (_process_out_of_order, "out of order"),
        (_repeat_what_was_acknowledged, "repeated without a death"),
        (_repeat_without_a_death, "repeated without a death"),
        (_process_what_is_not_stored, "unknown event"),
        (_process_another_event, "unknown event"),
    ],
)
def test_planted_defect(plant: Callable[[Parts], None], kind: str) -> None:
    """A run with one defect is not sound, and the finding says why."""
    parts = sound()
    plant(parts)
    assert kind in check(EventRun(**parts)).findings.kinds


def test_journals(tmp_path: Path) -> None:
    """Events are read as publishers and consumers write them."""
    (tmp_path / "p.published").write_text('["a", 1]\n')
    (tmp_path / "c-0.1.effects").write_text('[1.5, 7, "a", 1]\n')
    assert list(read_published([tmp_path / "p.published"])) == [("a", 1)]
    assert list(read_effects([tmp_path / "c-0.1.effects"])) == [Effect("c-0.1", 1.5, 7, ("a", 1))]

"""Message ids and timestamps when the clock stands still, jumps or goes back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from ulid import ULID

from weenats.errors import InvalidArgumentError
from weenats.protocol.identifiers import STAMPER, Stamper, check_correlation
from weenats.protocol.messages import MessageMetadata

MILLISECOND = 1_000_000
START = 1_772_357_400_125 * MILLISECOND  # 2026-03-01T09:30:00.125Z


class FakeNanoseconds:
    """A wall clock in nanoseconds that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        """Return the time."""
        return self.now


def test_ids_are_ulids_of_the_current_time() -> None:
    """The id is a ULID of the same millisecond as the timestamp."""
    clock = FakeNanoseconds()
    stamper = Stamper(clock)
    identifier, timestamp = stamper.stamp()
    assert ULID.from_str(identifier).milliseconds == START // MILLISECOND
    assert timestamp == "2026-03-01T09:30:00.125Z"
    MessageMetadata.model_validate({"messageId": identifier, "timestamp": timestamp})


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (1_772_357_400_000, "2026-03-01T09:30:00.000Z"),
        (1_772_357_399_999, "2026-03-01T09:29:59.999Z"),
        (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
    ],
)
def test_timestamps_have_exact_milliseconds(milliseconds: int, expected: str) -> None:
    """Three digits of milliseconds, never rounded up to the next second."""
    stamper = Stamper(lambda: milliseconds * MILLISECOND + 999_999)
    assert stamper.stamp()[1] == expected


def test_ids_increase_within_a_millisecond() -> None:
    """Ids of one millisecond are unique, ordered, and share the timestamp."""
    stamper = Stamper(FakeNanoseconds())
    made = [stamper.new_id() for _ in range(5_000)]
    assert made == sorted(set(made))
    assert {identifier[:22] for identifier in made} == {made[0][:22]}


def test_ids_stay_ordered_when_the_clock_goes_back() -> None:
    """A clock that is set back by up to a second causes neither duplicates nor smaller ids."""
    clock = FakeNanoseconds()
    stamper = Stamper(clock)
    made = []
    for step in (0, 5, -990, -1, 7, 3_600_001, 1):
        clock.now += step * MILLISECOND
        made += [stamper.new_id() for _ in range(10)]
    assert made == sorted(set(made))


def test_stamps_follow_a_clock_that_was_ahead() -> None:
    """After a step ahead and back timestamps are right at once, and ids are unique."""
    clock = FakeNanoseconds()
    stamper = Stamper(clock)
    before = [stamper.stamp() for _ in range(10)]
    clock.now += 1001 * MILLISECOND
    ahead = [stamper.stamp() for _ in range(10)]
    clock.now -= 1001 * MILLISECOND
    after = [stamper.stamp() for _ in range(10)]
    assert after[0][1] == before[0][1] != ahead[0][1]
    assert len({identifier for identifier, _ in (*before, *ahead, *after)}) == 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_processes_make_other_ids() -> None:
    """A child makes none of the ids that its parent makes within the same millisecond."""
    program = (
        "import os\n"
        "from weenats.protocol.identifiers import Stamper\n"
        "stamper = Stamper(lambda: 1_772_357_400_125_000_000)\n"
        "stamper.new_id()\n"
        "child = os.fork()\n"
        "ids = ' '.join(stamper.new_id() for _ in range(1000))\n"
        "if child:\n"
        "    os.waitpid(child, 0)\n"
        "os.write(1, f'{ids} '.encode())\n"
        "os._exit(0)\n"
    )
    made = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert len(made) == len(set(made)) == 2000


def test_ids_stay_ordered_when_a_millisecond_overflows() -> None:
    """More ids than fit in a millisecond use the next one, and so does the timestamp."""
    stamper = Stamper(FakeNanoseconds())
    first = stamper.new_id()
    for _ in range(5):  # five random starts: by luck alone the order would rarely hold
        stamper._suffix = 32**4 - 2
        made = [stamper.new_id() for _ in range(3)]
        assert made == sorted(set(made))
        assert first < made[0]
        first = made[-1]
    assert stamper.stamp()[1] == "2026-03-01T09:30:00.130Z"
    assert ULID.from_str(first).milliseconds == START // MILLISECOND + 5


def test_first_suffix_leaves_half_of_the_range() -> None:
    """At least half a million ids fit in a millisecond."""
    clock = FakeNanoseconds()
    stamper = Stamper(clock)
    for _ in range(200):
        clock.now += MILLISECOND
        stamper.stamp()
        assert stamper._suffix < 32**4 // 2


def test_many_ids_are_unique_and_ordered() -> None:
    """The ids of two stampers are unique and ordered."""
    beside = Stamper()
    mine, others = [], []
    for _ in range(50_000):
        mine.append(STAMPER.new_id())
        others.append(beside.new_id())
    assert mine == sorted(set(mine))
    assert len({*mine, *others}) == 100_000
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", mine[-1])


def test_process_stamper_uses_the_current_utc_time() -> None:
    """The timestamp of the default stamper is the current time in UTC."""
    stamped = datetime.strptime(STAMPER.stamp()[1], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - stamped).total_seconds()) < 5


@pytest.mark.parametrize("good", ["a", " ", "~" * 128, 'x"y\\z', "order 66/7"])
def test_printable_correlation_ids_are_accepted(good: str) -> None:
    """Any printable ASCII of up to 128 characters is accepted."""
    assert check_correlation(good, "correlation_id") == good


@pytest.mark.parametrize(
    "bad", ["", "~" * 129, "a\n", "\x00", "é", "\x7f", "\ud800", "a\tb", 5, None, b"a"]
)
def test_invalid_correlation_ids_are_rejected(bad: Any) -> None:
    """The error names the option, without the value."""
    with pytest.raises(InvalidArgumentError, match=r"^INVALID_ARGUMENT: correlation_id must be"):
        check_correlation(bad, "correlation_id")

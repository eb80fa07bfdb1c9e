"""Message ids and timestamps under clocks that stand, jump and go back."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from ulid import ULID

from weenats.errors import InvalidArgumentError
from weenats.protocol.identifiers import STAMPER, Stamper, check_correlation
from weenats.protocol.messages import MessageMetadata

MILLISECOND = 1_000_000
START = 1_772_357_400_125 * MILLISECOND  # 2026-03-01T09:30:00.125Z


class Nanoseconds:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        """Return the time."""
        return self.now


def test_ids_are_ulids_of_their_moment() -> None:
    """An id is a ULID that holds the very millisecond of the timestamp."""
    clock = Nanoseconds()
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
def test_timestamps_are_exact(milliseconds: int, expected: str) -> None:
    """Three digits of milliseconds, never rounded into the next second."""
    stamper = Stamper(lambda: milliseconds * MILLISECOND + 999_999)
    assert stamper.stamp()[1] == expected


def test_ids_count_up_while_the_clock_stands() -> None:
    """Within a millisecond ids are unique and in order, with the same timestamp."""
    stamper = Stamper(Nanoseconds())
    made = [stamper.new_id() for _ in range(5_000)]
    assert made == sorted(set(made))
    assert {identifier[:22] for identifier in made} == {made[0][:22]}


def test_ids_stay_in_order_when_the_clock_goes_back() -> None:
    """A clock that is set back makes neither an id twice nor one that sorts before the last."""
    clock = Nanoseconds()
    stamper = Stamper(clock)
    made = []
    for step in (0, 5, -3_600_000, -1, 7, 3_600_001, 1):
        clock.now += step * MILLISECOND
        made += [stamper.new_id() for _ in range(10)]
    assert made == sorted(set(made))


def test_ids_stay_in_order_when_a_millisecond_overflows() -> None:
    """More ids than one millisecond holds run into the next; the timestamp goes with them."""
    stamper = Stamper(Nanoseconds())
    first = stamper.new_id()
    for _ in range(5):  # five random starts: by luck alone the order would rarely hold
        stamper._suffix = 32**4 - 2
        made = [stamper.new_id() for _ in range(3)]
        assert made == sorted(set(made))
        assert first < made[0]
        first = made[-1]
    assert stamper.stamp()[1] == "2026-03-01T09:30:00.130Z"
    assert ULID.from_str(first).milliseconds == START // MILLISECOND + 5


def test_half_of_the_suffixes_are_left_to_count_in() -> None:
    """However a millisecond begins, half a million ids fit into it."""
    clock = Nanoseconds()
    stamper = Stamper(clock)
    for _ in range(200):
        clock.now += MILLISECOND
        stamper.stamp()
        assert stamper._suffix < 32**4 // 2


def test_a_hundred_thousand_ids_are_unique_and_in_order() -> None:
    """The stamper of the process never repeats itself, nor does a second one beside it."""
    beside = Stamper()
    mine, others = [], []
    for _ in range(50_000):
        mine.append(STAMPER.new_id())
        others.append(beside.new_id())
    assert mine == sorted(set(mine))
    assert len({*mine, *others}) == 100_000
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", mine[-1])


def test_the_stamper_of_the_process_tells_the_time() -> None:
    """Its timestamp is now, in UTC."""
    stamped = datetime.strptime(STAMPER.stamp()[1], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - stamped).total_seconds()) < 5


@pytest.mark.parametrize("good", ["a", " ", "~" * 128, 'x"y\\z', "order 66/7"])
def test_correlation_ids_of_other_systems_are_taken(good: str) -> None:
    """Any printable ASCII up to 128 characters ties messages together."""
    assert check_correlation(good, "correlation_id") == good


@pytest.mark.parametrize(
    "bad", ["", "~" * 129, "a\n", "\x00", "é", "\x7f", "\ud800", "a\tb", 5, None, b"a"]
)
def test_other_correlation_ids_are_refused(bad: Any) -> None:
    """Empty, too long, foreign or unprintable: refused, and the message names the option alone."""
    with pytest.raises(InvalidArgumentError, match=r"^INVALID_ARGUMENT: correlation_id must be"):
        check_correlation(bad, "correlation_id")

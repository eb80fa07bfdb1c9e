"""Durations, the Wee-Timeout header, and the one timer behind many deadlines."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.clocks import FakeClock, travel
from testkit.waiting import settle
from weenats.errors import InvalidArgumentError
from weenats.protocol import deadline
from weenats.protocol.deadline import DeadlineTimer, from_header, seconds


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (1, 1.0),
        (0.25, 0.25),
        (timedelta(milliseconds=5), 0.005),
        (5e-324, 5e-324),
        (1e300, 86_400.0),
        (10**400, 86_400.0),
        (timedelta.max, 86_400.0),
    ],
)
def test_durations(duration: Any, expected: float) -> None:
    """Numbers are seconds, timedeltas too; what is longer than a day is a day."""
    assert seconds(duration) == expected
    assert type(seconds(duration)) is float


@pytest.mark.parametrize(
    "duration",
    [
        0, 0.0, -0.0, -1, math.nan, math.inf, -math.inf, True, False, "1", None, [], 1j, -(10**400),
        timedelta(0), timedelta(seconds=-1), timedelta.min,
    ],
)  # fmt: skip
def test_other_durations_are_refused(duration: Any) -> None:
    """No amount, a negative one, no number: refused under the name of the option."""
    with pytest.raises(InvalidArgumentError, match="drain_timeout must be a positive"):
        seconds(duration, "drain_timeout")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 100.0), ("250", 100.25), ("-5", 99.995), ("0250", 100.25), ("999999999999", 86_500.0)],
)
def test_the_header_sets_a_deadline(text: str, expected: float) -> None:
    """Milliseconds from now; what was spent on the way is a deadline in the past."""
    assert from_header(text, FakeClock(100.0)) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "-", "--5", "+5", "5.0", "1e3", "5s", " 5", "5 ", "0x10", "1_000", "٣", "²", "NaN",
        "inf", "9" * 13, "-" + "9" * 13, "9" * 5000, "\x00", "\ud800", "5\n",
    ],
)  # fmt: skip
def test_other_headers_are_refused(text: str) -> None:
    """Anything but a whole number of at most twelve digits is refused and not repeated."""
    with pytest.raises(InvalidArgumentError, match=r"whole number of milliseconds$"):
        from_header(text)


@given(st.text(max_size=20))
def test_any_header_is_a_deadline_or_refused(text: str) -> None:
    """No text raises anything else, and no deadline is further off than a day."""
    try:
        assert from_header(text, FakeClock(0.0)) <= 86_400.0
    except InvalidArgumentError:
        return


class FakeLoop:
    """Keeps the timers that are set; a test fires them."""

    def __init__(self) -> None:
        self.timers: list[FakeTimer] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> FakeTimer:
        """Note a timer."""
        self.timers.append(FakeTimer(delay, callback))
        return self.timers[-1]

    @property
    def live(self) -> list[FakeTimer]:
        """The timers that would still fire."""
        return [timer for timer in self.timers if not timer.over]


class FakeTimer:
    """One timer of a FakeLoop."""

    def __init__(self, delay: float, callback: Callable[[], None]) -> None:
        self.delay = delay
        self.over = False
        self._callback = callback

    def cancel(self) -> None:
        """Never fire."""
        self.over = True

    def fire(self) -> None:
        """Do what it was set for."""
        self.over = True
        self._callback()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> FakeLoop:
    """The loop on which timers are set."""
    fake = FakeLoop()
    monkeypatch.setattr(deadline.asyncio, "get_running_loop", lambda: fake)
    return fake


def test_one_timer_watches_over_all(loop: FakeLoop) -> None:
    """Later deadlines set no timer, an earlier one replaces it; passed ones are handed over."""
    clock, passed = FakeClock(), list[str]()
    timer = DeadlineTimer[str](passed.append, clock)
    for name, when in (("b", 105.0), ("c", 110.0), ("d", 105.0), ("a", 101.0)):
        timer.add(name, when)
        assert len(loop.live) == 1
    assert [each.delay for each in loop.timers] == [5.0, 1.0]
    clock.now = 101.0
    loop.live[0].fire()
    assert (passed, [each.delay for each in loop.live]) == (["a"], [4.0])
    clock.now = 107.0
    loop.live[0].fire()
    assert (passed, [each.delay for each in loop.live]) == (["a", "b", "d"], [3.0])


def test_a_timer_that_fires_early_is_set_again(loop: FakeLoop) -> None:
    """Clocks of different grain lose no deadline and make no busy loop."""
    passed: list[str] = []
    timer = DeadlineTimer[str](passed.append, clock := FakeClock())
    timer.add("a", 100.0004)
    loop.live[0].fire()
    assert passed == []
    assert loop.live[0].delay == 0.001
    clock.now = 100.0004
    loop.live[0].fire()
    assert (passed, loop.live) == (["a"], [])


def test_discarded_items_are_never_handed_over(loop: FakeLoop) -> None:
    """Discarding leaves the timer, which then finds nothing and is not set again."""
    passed: list[str] = []
    timer = DeadlineTimer[str](passed.append, clock := FakeClock())
    timer.add("a", 101.0)
    timer.discard("a")
    timer.discard("unknown")
    clock.now = 200.0
    loop.live[0].fire()
    assert (passed, loop.live) == ([], [])
    timer.add("b", 201.0)
    assert [each.delay for each in loop.live] == [1.0]


def test_closing_forgets_everything(loop: FakeLoop) -> None:
    """No timer stays behind; closing twice is fine."""
    timer = DeadlineTimer[str](lambda _: pytest.fail("handed over"), FakeClock())
    timer.add("a", 101.0)
    timer.close()
    timer.close()
    assert loop.live == []


def test_whoever_is_handed_over_may_add_again(loop: FakeLoop) -> None:
    """An item added while others are handed over is watched like any other."""
    clock = FakeClock()
    timer = DeadlineTimer[str](lambda item: timer.add(item + "'", clock.now + 1), clock)
    timer.add("a", 101.0)
    clock.now = 101.0
    loop.live[0].fire()
    assert (timer._deadlines, [each.delay for each in loop.live]) == ({"a'": 102.0}, [1.0])


async def test_on_a_real_loop_deadlines_pass_in_time() -> None:
    """As the loop's time goes by, each item is handed over once."""
    clock, passed = travel(), list[int]()
    timer = DeadlineTimer[int](passed.append, clock)
    start = asyncio.get_running_loop().time()
    for item in range(100):
        timer.add(item, start + item)
    clock.advance(49.5)
    await settle()
    assert passed == list(range(50))
    clock.advance(100)
    await settle()
    assert passed == list(range(100))
    timer.close()

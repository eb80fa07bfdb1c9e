"""Durations, the Wee-Timeout header, and the timer for many deadlines."""

from __future__ import annotations

import asyncio
import math
import tracemalloc
from collections.abc import Callable
from contextvars import Context
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.clocks import FakeClock, travel
from testkit.waiting import settle
from weenats.errors import InvalidArgumentError
from weenats.protocol import headers, timeouts
from weenats.protocol.timeouts import DeadlineTimer, seconds, timeout_in


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
def test_durations_are_converted_to_seconds(duration: Any, expected: float) -> None:
    """Numbers and timedeltas become seconds, at most one day."""
    assert seconds(duration) == expected
    assert type(seconds(duration)) is float


@pytest.mark.parametrize(
    "duration",
    [
        0, 0.0, -0.0, -1, math.nan, math.inf, -math.inf, True, False, "1", None, [], 1j, -(10**400),
        timedelta(0), timedelta(seconds=-1), timedelta.min,
    ],
)  # fmt: skip
def test_invalid_durations_are_rejected(duration: Any) -> None:
    """The error names the option."""
    with pytest.raises(InvalidArgumentError, match="drain_timeout must be a positive"):
        seconds(duration, "drain_timeout")


def block_with(text: str, filler: str = "") -> bytes:
    """Return a header block with a timeout."""
    return f"NATS/1.0\r\n{filler}Wee-Timeout:{text}\r\n\r\n".encode()


@pytest.mark.parametrize("filler", ["", "X: " + "x" * 64 + "\r\n"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0.0), ("250", 0.25), (" -5 ", -0.005), ("0250", 0.25), ("999999999999", 86_400.0)],
)
def test_timeout_is_milliseconds(filler: str, text: str, expected: float) -> None:
    """The header has milliseconds; the deadline of a negative value is in the past."""
    for _ in "again":
        assert timeout_in(block_with(text, filler)) == pytest.approx(expected)


def test_block_without_timeout_has_none() -> None:
    """A short or long block without the header, or no block, sets no timeout."""
    for block in (b"", b"NATS/1.0\r\n\r\n", b"NATS/1.0\r\nX: %b\r\n\r\n" % (b"x" * 64)):
        assert timeout_in(block) is None


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "-", "--5", "+5", "5.0", "1e3", "5s", "0x10", "1_000", "٣", "²", "NaN", "inf",
        "5 5", "9" * 13, "-" + "9" * 13, "9" * 5000, "\x00", "\x005",
    ],
)  # fmt: skip
def test_invalid_timeout_headers_are_rejected(text: str) -> None:
    """Only integers of at most twelve digits are accepted, and the error omits the value."""
    with pytest.raises(InvalidArgumentError, match=r"whole number of milliseconds$"):
        timeout_in(block_with(text))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_random_timeout_header_raises_nothing_unexpected(text: str) -> None:
    """Any text is rejected or gives a deadline within one day."""
    try:
        assert (timeout_in(block_with(text)) or 0.0) <= 86_400.0
    except InvalidArgumentError:
        return


class FakeLoop:
    """An event loop that records its timers; a test fires them."""

    def __init__(self) -> None:
        self.timers: list[FakeTimer] = []

    def call_later(
        self, delay: float, callback: Callable[[], None], *, context: Context
    ) -> FakeTimer:
        """Record a timer, which has no context variable of its creator."""
        assert len(context) == 0
        self.timers.append(FakeTimer(delay, callback))
        return self.timers[-1]

    @property
    def live(self) -> list[FakeTimer]:
        """The timers that have neither fired nor been cancelled."""
        return [timer for timer in self.timers if not timer.over]


class FakeTimer:
    """A timer of a FakeLoop."""

    def __init__(self, delay: float, callback: Callable[[], None]) -> None:
        self.delay = delay
        self.over = False
        self._callback = callback

    def cancel(self) -> None:
        """Cancel the timer."""
        self.over = True

    def fire(self) -> None:
        """Fire the timer."""
        self.over = True
        self._callback()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> FakeLoop:
    """The fake event loop on which timers are set."""
    fake = FakeLoop()
    monkeypatch.setattr(timeouts.asyncio, "get_running_loop", lambda: fake)
    return fake


def test_one_loop_timer_serves_all_deadlines(loop: FakeLoop) -> None:
    """An earlier deadline replaces the timer; expired items are reported."""
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


def test_early_timer_is_rescheduled(loop: FakeLoop) -> None:
    """Clocks of different resolution lose no deadline and cause no busy loop."""
    passed: list[str] = []
    timer = DeadlineTimer[str](passed.append, clock := FakeClock())
    timer.add("a", 100.0004)
    loop.live[0].fire()
    assert passed == []
    assert loop.live[0].delay == 0.001
    clock.now = 100.0004
    loop.live[0].fire()
    assert (passed, loop.live) == (["a"], [])


def test_discarded_items_do_not_expire(loop: FakeLoop) -> None:
    """The timer of a discarded item fires without effect and is not set again."""
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


def test_close_cancels_the_timer(loop: FakeLoop) -> None:
    """close() leaves no timer behind, and may be called twice."""
    timer = DeadlineTimer[str](lambda _: pytest.fail("handed over"), FakeClock())
    timer.add("a", 101.0)
    timer.close()
    timer.close()
    assert loop.live == []


def test_expiry_callback_can_add_items(loop: FakeLoop) -> None:
    """An item added in the expiry callback is watched too."""
    clock = FakeClock()
    timer = DeadlineTimer[str](lambda item: timer.add(item + "'", clock.now + 1), clock)
    timer.add("a", 101.0)
    clock.now = 101.0
    loop.live[0].fire()
    assert (timer.deadlines, [each.delay for each in loop.live]) == ({"a'": 102.0}, [1.0])


async def test_items_expire_on_a_real_event_loop() -> None:
    """Each item expires once, as the time of the loop advances."""
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


@pytest.mark.timing
def test_values_of_callers_are_not_kept() -> None:
    """Long values of the header, which anybody may send, take no memory when they were read."""

    def read(number: int) -> None:
        value = b"%d" % number + b"9" * headers._MAX_READ
        with pytest.raises(InvalidArgumentError):
            timeout_in(b"NATS/1.0\r\nWee-Timeout: %b\r\n\r\n" % value[: headers._MAX_READ // 2])

    read(0)
    tracemalloc.start()
    try:
        for number in range(500):
            read(number)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < headers._MAX_READ

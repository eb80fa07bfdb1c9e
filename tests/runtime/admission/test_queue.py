"""Order of arrival, a bound on length and one on time."""

from __future__ import annotations

import asyncio
import math

from hypothesis import given
from hypothesis import strategies as st

from testkit.clocks import FakeClock, travel
from testkit.waiting import settle
from weenats.admission.queue import BoundedQueue


def a_line(max_length: int = 100, max_time: float = math.inf) -> BoundedQueue[int]:
    """Return a line in which nobody grows old."""
    return BoundedQueue(max_length, max_time, lambda _: None, FakeClock())


def test_first_come_first_served() -> None:
    """Each has its turn in order of arrival; those that left have none."""
    line = a_line()
    for item in range(5):
        assert line.put(item)
    line.remove(0)
    line.remove(3)
    line.remove(3)
    line.remove(99)
    assert (len(line), list(line)) == (3, [1, 2, 4])
    assert [line.get() for _ in range(4)] == [1, 2, 4, None]


def test_whoever_left_takes_no_place() -> None:
    """The bound counts who waits, not who has come and gone; no place means no place."""
    line = a_line(max_length=2)
    for item in range(1000):
        assert line.put(item)
        line.remove(item)
    assert [line.put(item) for item in range(3)] == [True, True, False]
    assert not a_line(max_length=0).put(1)


@given(st.integers(0, 4), st.lists(st.tuples(st.sampled_from("aln"), st.integers(0, 9))))
def test_it_is_a_list_with_a_bound(length: int, moves: list[tuple[str, int]]) -> None:
    """Whatever comes, leaves and has its turn: it is what a plain list would be."""
    line, model = a_line(length), list[int]()
    for number, (move, place) in enumerate(moves):
        if move == "a":
            assert line.put(number) == (len(model) < length)
            model += [number] if len(model) < length else []
        elif move == "l" and place < len(model):
            line.remove(model.pop(place))
        elif move == "n":
            assert line.get() == (model.pop(0) if model else None)
        assert (list(line), len(line)) == (model, len(model))


async def test_whoever_waited_too_long_is_handed_over() -> None:
    """Each at its own time, the oldest first; one timer is enough, and none without a bound."""
    clock, aged = travel(), list[int]()
    line = BoundedQueue[int](100, 5.0, aged.append, clock)
    for item in range(10):
        line.put(item)
        clock.advance(1)
        await settle()
        assert aged == list(range(item - 3))  # the one that came five seconds ago, and those before
    line.remove(6)
    assert line.get() == 7
    clock.advance(100)
    await settle()
    assert (aged, len(line), line._timer) == ([0, 1, 2, 3, 4, 5, 8, 9], 0, None)
    endless = BoundedQueue[int](100, math.inf, aged.append, clock)
    endless.put(1)
    assert endless._timer is None


async def test_a_turn_that_comes_too_late_is_none() -> None:
    """When the loop was busy past the time, whoever waited too long does not have its turn."""
    clock, aged = FakeClock(), list[int]()
    line = BoundedQueue[int](100, 5.0, aged.append, clock)
    line.put(1)
    clock.now += 3
    line.put(2)
    clock.now += 2
    assert (line.get(), aged) == (2, [1])
    line.close()
    line.close()
    assert line._timer is None


async def test_closing_keeps_who_waits() -> None:
    """Nobody is handed over any more, and everybody has a turn."""
    clock, aged = travel(), list[int]()
    line = BoundedQueue[int](100, 5.0, aged.append, clock)
    line.put(1)
    line.close()
    clock.advance(4)
    await asyncio.sleep(0)
    assert (line.get(), aged) == (1, [])

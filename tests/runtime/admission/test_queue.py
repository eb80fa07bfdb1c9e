"""The waiting queue: order of arrival, maximum length, size and waiting time."""

from __future__ import annotations

import asyncio
import math

from hypothesis import given
from hypothesis import strategies as st

from testkit.clocks import FakeClock, travel
from testkit.waiting import settle
from weenats.admission.queue import BoundedQueue


def make_queue(max_length: int = 100, max_time: float = math.inf) -> BoundedQueue[int]:
    """Return a queue, without a maximum waiting time unless one is given."""
    return BoundedQueue(max_length, max_time, lambda _: None, FakeClock())


def test_first_come_first_served() -> None:
    """Items are returned in order of arrival; removed items are skipped."""
    line = make_queue()
    for item in range(5):
        assert line.put(item)
    line.remove(0)
    line.remove(3)
    line.remove(3)
    line.remove(99)
    assert (len(line), list(line)) == (3, [1, 2, 4])
    assert [line.get() for _ in range(4)] == [1, 2, 4, None]


async def test_items_are_bounded_in_size() -> None:
    """Items that would exceed the size are refused, until others have left in any way."""
    clock = travel()
    line = BoundedQueue[int](100, 5, lambda _: None, clock, lambda item: item, 10)
    assert [line.put(item) for item in (4, 6, 1)] == [True, True, False]
    assert line.get() == 4
    assert [line.put(item) for item in (5, 3, 1)] == [False, True, True]
    line.remove(6)
    line.remove(6)
    assert [line.put(item) for item in (7, 6)] == [False, True]
    clock.advance(6)
    assert line.get() is None
    assert [line.put(item) for item in (11, 10)] == [False, True]
    line.close()


def test_removed_items_do_not_count_towards_the_length() -> None:
    """Only waiting items count towards the maximum length; a length of 0 accepts none."""
    line = make_queue(max_length=2)
    for item in range(1000):
        assert line.put(item)
        line.remove(item)
    assert [line.put(item) for item in range(3)] == [True, True, False]
    assert not make_queue(max_length=0).put(1)


@given(st.integers(0, 4), st.lists(st.tuples(st.sampled_from("aln"), st.integers(0, 9))))
def test_queue_behaves_like_a_bounded_list(length: int, moves: list[tuple[str, int]]) -> None:
    """Under any sequence of add, leave and next the queue equals a plain list."""
    line, model = make_queue(length), list[int]()
    for number, (move, place) in enumerate(moves):
        if move == "a":
            assert line.put(number) == (len(model) < length)
            model += [number] if len(model) < length else []
        elif move == "l" and place < len(model):
            line.remove(model.pop(place))
        elif move == "n":
            assert line.get() == (model.pop(0) if model else None)
        assert (list(line), len(line)) == (model, len(model))


async def test_expired_items_are_reported_oldest_first() -> None:
    """Each item expires at its own time with one timer; without a maximum there is no timer."""
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


async def test_next_skips_expired_items() -> None:
    """An item that expired while the event loop was busy is reported, not returned."""
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


async def test_close_keeps_waiting_items() -> None:
    """After close() items no longer expire, but next() still returns them."""
    clock, aged = travel(), list[int]()
    line = BoundedQueue[int](100, 5.0, aged.append, clock)
    line.put(1)
    line.close()
    clock.advance(4)
    await asyncio.sleep(0)
    assert (line.get(), aged) == (1, [])

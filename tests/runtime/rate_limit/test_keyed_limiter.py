"""Rate limit buckets per key with bounded memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.clocks import travel
from weenats.contract import RateLimit
from weenats.rate_limit import KeyedLimiter

LIMIT = RateLimit(max_requests_per_second=2, burst=4)
DRAINED = 2.0  # seconds after which a bucket of LIMIT is as good as new


def take(limiter: KeyedLimiter, key: str) -> bool:
    """Make a request and return whether it is admitted."""
    bucket = limiter.bucket(key)
    if bucket.wait() > 0:
        return False
    bucket.take()
    return True


STEPS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.just(0.0))
    | st.tuples(st.sampled_from("abcdef"), st.sampled_from([0.1, 0.5, 1.0, 3.0])),
    max_size=80,
)


@given(STEPS)
async def test_dropping_buckets_does_not_change_decisions(steps: list[tuple[str, float]]) -> None:
    """With room for all keys the limiter decides like one that drops no bucket."""
    clock = travel()
    bounded, endless = KeyedLimiter(LIMIT, 6), {key: KeyedLimiter(LIMIT, 1) for key in "abcdef"}
    for key, pause in steps:
        clock.advance(pause)
        real = endless[key].bucket("only").wait() == 0
        assert take(bounded, key) is real
        if real:
            endless[key].bucket("only").take()


async def test_many_keys_do_not_reset_a_used_bucket() -> None:
    """A key that used up its bucket stays limited while thousands of keys come by."""
    travel()
    limiter = KeyedLimiter(LIMIT, 100)
    assert [take(limiter, "ada") for _ in range(5)] == [True] * 4 + [False]
    for number in range(5000):
        take(limiter, f"flood-{number}")
        if number % 50 == 0:
            assert not take(limiter, "ada")
    assert len(limiter) == 100
    assert not take(limiter, "ada")


async def test_keys_beyond_the_bound_share_one_bucket() -> None:
    """Keys beyond the bound share one bucket until there is room again."""
    clock = travel()
    limiter = KeyedLimiter(LIMIT, 10)
    for number in range(10):
        assert take(limiter, f"known-{number}")
    assert sum(take(limiter, f"flood-{number}") for number in range(1000)) == 4
    assert all(take(limiter, f"known-{number}") for number in range(10))
    clock.advance(DRAINED)
    assert all(take(limiter, f"later-{number}") for number in range(10))
    assert len(limiter) == 10


async def test_drained_bucket_makes_room_behind_one_in_use() -> None:
    """Buckets that have drained make room, although an older one has not."""
    clock = travel()
    limiter = KeyedLimiter(LIMIT, 10)
    assert sum(take(limiter, "hog") for _ in range(5)) == 4
    for number in range(9):
        assert take(limiter, f"quiet-{number}")
    clock.advance(0.5)  # the time of one request
    assert sum(take(limiter, "newcomer") for _ in range(9)) == 4
    assert take(limiter, "another newcomer")


async def test_shared_bucket_adds_nothing_to_a_limit() -> None:
    """A key that used the shared bucket gets no second allowance with a bucket of its own."""
    clock = travel()
    limiter = KeyedLimiter(LIMIT, 1)
    assert take(limiter, "first")
    assert sum(take(limiter, "late") for _ in range(9)) == 4
    clock.advance(0.5)
    assert sum(take(limiter, "late") for _ in range(9)) == 1
    assert len(limiter) == 1
    clock.advance(DRAINED)
    assert sum(take(limiter, "late") for _ in range(9)) == 4


def resident_memory() -> int:
    """Return the memory that the process holds, in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timing
async def test_memory_is_bounded_for_a_million_keys() -> None:
    """Memory stays constant, whether the buckets are in use or full again."""
    clock = travel()
    limiter = KeyedLimiter(LIMIT, 10_000)
    before = 0
    for number in range(1_000_000):
        take(limiter, f"key-{number}")
        if number % 100_000 == 50_000:
            clock.now += DRAINED
        if number == 250_000:
            before = resident_memory()
    assert len(limiter) <= 10_000
    assert resident_memory() - before < 4_000_000

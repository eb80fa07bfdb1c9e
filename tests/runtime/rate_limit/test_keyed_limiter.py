"""Buckets of many keys: bounded, and nobody notices but those who flood."""

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
    """Make a request; say whether it passes."""
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
async def test_dropping_buckets_changes_nothing(steps: list[tuple[str, float]]) -> None:
    """With room for all keys it lets through what one that never forgets does."""
    clock = travel()
    bounded, endless = KeyedLimiter(LIMIT, 6), {key: KeyedLimiter(LIMIT, 1) for key in "abcdef"}
    for key, pause in steps:
        clock.advance(pause)
        real = endless[key].bucket("only").wait() == 0
        assert take(bounded, key) is real
        if real:
            endless[key].bucket("only").take()


async def test_a_flood_of_names_gives_nobody_a_second_allowance() -> None:
    """Whoever used up its bucket stays refused while thousands of names come by."""
    travel()
    limiter = KeyedLimiter(LIMIT, 100)
    assert [take(limiter, "ada") for _ in range(5)] == [True] * 4 + [False]
    for number in range(5000):
        take(limiter, f"flood-{number}")
        if number % 50 == 0:
            assert not take(limiter, "ada")
    assert len(limiter) == 100
    assert not take(limiter, "ada")


async def test_a_flood_shares_one_bucket_and_ends_with_it() -> None:
    """What comes beyond the bound passes at the rate of one; afterwards there is room again."""
    clock = travel()
    limiter = KeyedLimiter(LIMIT, 10)
    for number in range(10):
        assert take(limiter, f"known-{number}")
    assert sum(take(limiter, f"flood-{number}") for number in range(1000)) == 4
    assert all(take(limiter, f"known-{number}") for number in range(10))
    clock.advance(DRAINED)
    assert all(take(limiter, f"later-{number}") for number in range(10))
    assert len(limiter) == 10


def resident() -> int:
    """Return how much memory the process holds, bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timing
async def test_a_million_names_take_no_more_memory_than_the_first_ones() -> None:
    """Memory is flat, whether the buckets are in use or have drained meanwhile."""
    clock = travel()
    limiter = KeyedLimiter(LIMIT, 10_000)
    before = 0
    for number in range(1_000_000):
        take(limiter, f"key-{number}")
        if number % 100_000 == 50_000:
            clock.now += DRAINED
        if number == 250_000:
            before = resident()
    assert len(limiter) <= 10_000
    assert resident() - before < 4_000_000

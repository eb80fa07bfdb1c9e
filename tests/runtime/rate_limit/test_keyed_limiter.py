"""Rate limit buckets per key with bounded memory."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testkit.clocks import travel
from weenats.contract import RateLimit
from weenats.rate_limit import KeyedLimiter
from weenats.rate_limit.buckets import LeakyBucket
from weenats.rate_limit.leases import LeasedLimiter, SharedBudget
from weenats.rate_limit.ledger import Grant, Ledger
from weenats.testing import MemoryTransport

RATE, BURST = 2, 4
LIMIT = RateLimit(max_requests_per_second=RATE, burst=BURST)
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


class Bounds:
    """What keys may have and must get, of a limiter with room for some of them.

    Attributes:
        least: how full the bucket of each key is at least: by its own requests.
        most: how full it is at most: by those of others too, which the shared bucket had.
        own: the keys that had a bucket of their own when they last asked.
    """

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self.least: dict[str, float] = {}
        self.most: dict[str, float] = {}
        self.own: set[str] = set()
        self._shared = 0.0

    def advance(self, seconds: float) -> None:
        """Drain all buckets; those that are empty are none."""
        for levels in (self.least, self.most):
            drained = {key: level - RATE * seconds for key, level in levels.items()}
            levels.clear()
            levels.update({key: level for key, level in drained.items() if level > TOLERANCE})
        self._shared = max(self._shared - RATE * seconds, 0.0)

    def check(self, key: str, *, admitted: bool) -> None:
        """Check a decision, and count the request if it was admitted."""
        is_kept = key in self.own and key in self.least
        has_place = is_kept or len(self.most.keys() - {key}) < self._max_keys
        most = self.most.get(key, 0.0) if is_kept else max(self.most.get(key, 0.0), self._shared)
        if has_place:
            self.own.add(key)
        else:
            self.own.discard(key)
            self._shared += admitted
        if admitted:
            self.least[key] = self.least.get(key, 0.0) + 1
            self.most[key] = most + 1
            assert self.least[key] <= BURST + TOLERANCE, "more than the limit"
        else:
            assert not has_place or most + 1 > BURST - TOLERANCE, "less than the limit"


TOLERANCE = 1e-3
SECOND_ALLOWANCE = [*((key, 1, 0.0) for key in "abc"), ("d", 4, 0.5), ("d", 4, 0.0)]
STARVED_BY_ANOTHER = [*zip("abcde", (4, 1, 1, 4, 1), (0.0, 0.0, 0.5, 0.0, 0.0), strict=True)]
FLOOD = st.lists(
    st.tuples(
        st.sampled_from("abcde"), st.integers(1, 5), st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.0])
    ),
    max_size=20,
)


@given(FLOOD)
@example(SECOND_ALLOWANCE)
@example(STARVED_BY_ANOTHER)
async def test_limit_holds_without_room_for_all_keys(flood: list[tuple[str, int, float]]) -> None:
    """No key gets more than its limit, nor less while there is room for its bucket."""
    clock = travel()
    limiter, bounds = KeyedLimiter(LIMIT, 3), Bounds(3)
    for key, requests, pause in flood:
        for _ in range(requests):
            bounds.check(key, admitted=take(limiter, key))
        clock.advance(pause)
        bounds.advance(pause)


class ExactLedger(Ledger):
    """A ledger in memory, whose time is that of the event loop."""

    def __init__(self) -> None:
        super().__init__("probe", MemoryTransport())
        self._levels: dict[str, LeakyBucket] = {}

    async def take(self, name: str, limit: RateLimit, amount: float) -> Grant:
        """Take from a limit, as much as there is."""
        bucket = self._levels.setdefault(name, LeakyBucket(limit))
        taken = float(math.floor(min(amount, limit.capacity - bucket.level + TOLERANCE)))
        bucket.fill(bucket.level + taken)
        return Grant(taken) if taken else Grant(0.0, bucket.wait())


@given(FLOOD)
@example(SECOND_ALLOWANCE)
@example(STARVED_BY_ANOTHER)
async def test_shared_limit_holds_without_room_for_all_keys(
    flood: list[tuple[str, int, float]],
) -> None:
    """Where instances share limits, the shared bucket of further keys adds no allowance."""
    clock = travel()
    clock.now = math.ceil(clock.now)  # so that sums of times are exact
    budget = SharedBudget("probe", ExactLedger())
    limiter, bounds = LeasedLimiter(budget, "run", LIMIT, 3), Bounds(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weenats.rate_limit.leases.monotonic", clock)
        for key, requests, pause in flood:
            for _ in range(requests):
                bucket = limiter.bucket(key)
                while bucket.is_empty:
                    await bucket.lease()
                is_admitted = bucket.wait() == 0
                if is_admitted:
                    bucket.take()
                bounds.check(key, admitted=is_admitted)
            clock.advance(pause)
            bounds.advance(pause)


async def test_bucket_that_holds_a_chunk_is_kept() -> None:
    """A bucket that took a chunk is kept until all of it has drained, not only what was used."""
    clock = travel()
    limit = RateLimit(max_requests_per_second=1000, burst=1000)
    limiter = LeasedLimiter(SharedBudget("probe", ExactLedger()), "run", limit, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weenats.rate_limit.leases.monotonic", clock)
        first = limiter.bucket("first")
        assert limiter.bucket("second") is not first
        assert limiter.bucket("first") is first, "its first request has taken nothing yet"
        await first.lease()
        first.take()
        clock.advance(0.05)  # the chunk lasts twice as long
        limiter.bucket("third")
        assert limiter.bucket("first") is first
        clock.advance(1)
        limiter.bucket("fourth")
        limiter.bucket("fifth")
        assert limiter.bucket("first") is not first


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

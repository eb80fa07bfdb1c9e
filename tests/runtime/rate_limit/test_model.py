"""The rate limits of keys compared with exact buckets that are never removed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from testkit.clocks import FrozenLoopTime
from testkit.properties import examples
from weenats.contract import RateLimit
from weenats.rate_limit import KeyedLimiter

RATE, BURST, MAX_KEYS = 2.0, 4.0, 3
ROUNDING = 1e-4


@dataclass
class ExactBucket:
    """A leaky bucket that keeps when each request came.

    Attributes:
        drained_at: when it is empty.
        is_known: whether the limiter has this bucket with exactly this level.
    """

    drained_at: float = 0.0
    is_known: bool = True

    def level(self, now: float) -> float:
        """Return how full it is, in requests."""
        return max(self.drained_at - now, 0.0) * RATE

    def has_room(self, now: float) -> bool:
        """Return whether one more request is within the limit."""
        return self.level(now) + 1 <= BURST + ROUNDING

    def take(self, now: float) -> None:
        """Count a request."""
        self.drained_at = max(self.drained_at, now) + 1 / RATE


@dataclass
class Model:
    """Exact buckets of all keys, and of the requests that may have shared a bucket.

    Attributes:
        busy_until: until when a key may occupy one of the limiter's places.
    """

    keys: dict[str, ExactBucket] = field(default_factory=dict[str, ExactBucket])
    busy_until: dict[str, float] = field(default_factory=dict[str, float])
    shared: ExactBucket = field(default_factory=ExactBucket)

    def has_place(self, key: str, now: float) -> bool:
        """Return whether there is a place for a key, whatever the others did."""
        busy = [each for each, end in self.busy_until.items() if each != key and end > now]
        return len(busy) < MAX_KEYS


class Comparison(RuleBasedStateMachine):
    """Makes the same requests to the limiter and to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FrozenLoopTime(self.loop)
        self.clock.now = 1000.0  # every run computes with the same numbers
        limit = RateLimit(max_requests_per_second=RATE, burst=BURST)
        self.limiter = KeyedLimiter(limit, MAX_KEYS)
        self.model = Model()

    def teardown(self) -> None:
        """Close the event loop."""
        self.loop.close()

    async def _take(self, key: str) -> bool:
        bucket = self.limiter.bucket(key)
        if bucket.wait() > 0:
            return False
        bucket.take()
        return True

    @rule(keys=st.permutations("abcde"), count=st.sampled_from([1, 1, 2, 3, 5]))
    def request(self, keys: list[str], count: int) -> None:
        """Use up the limit of one key, and make a request of each of some others."""
        for key, times in zip(keys[:count], (5, 1, 1, 1, 1), strict=False):
            for _ in range(times):
                self._request(key)

    def _request(self, key: str) -> None:
        now, model = self.clock(), self.model
        exact = model.keys.setdefault(key, ExactBucket())
        has_place, shared_level = model.has_place(key, now), model.shared.level(now)
        if exact.level(now) <= ROUNDING:
            exact.is_known = has_place and shared_level <= ROUNDING
        admitted = self.loop.run_until_complete(self._take(key))
        if exact.is_known:
            assert admitted is exact.has_room(now), "it differs from a limit of its own"
        assert exact.has_room(now) or not admitted, "it has more than its limit"
        if admitted:
            exact.take(now)
        if not exact.is_known and admitted:
            model.shared.take(now)
        self._occupy(key, now)

    def _occupy(self, key: str, now: float) -> None:
        """Note how long a key may keep a place: one that shared may begin with that level."""
        exact, shared = self.model.keys[key], self.model.shared
        until = exact.drained_at if exact.is_known else max(exact.drained_at, shared.drained_at)
        self.model.busy_until[key] = max(until + ROUNDING, now + ROUNDING)

    @rule(seconds=st.sampled_from([0.3, 0.6, 1.1]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @invariant()
    def memory_is_bounded(self) -> None:
        """There are never more buckets than allowed."""
        assert len(self.limiter) <= MAX_KEYS


TestComparison = Comparison.TestCase
TestComparison.settings = examples(10, stateful_step_count=12)

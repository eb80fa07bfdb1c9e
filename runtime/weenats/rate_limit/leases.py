"""Limits that the instances of a service share: each takes its part in advance, in chunks."""

from __future__ import annotations

import asyncio
import math
from time import monotonic
from typing import TYPE_CHECKING, Final

from weenats._internal.background import Background
from weenats._internal.limited_log import LimitedLogger
from weenats.errors import DeadlineExceededError, ServiceError
from weenats.rate_limit.buckets import BucketTable, LeakyBucket

if TYPE_CHECKING:
    from weenats.contract import RateLimit
    from weenats.rate_limit.ledger import Grant, Ledger

__all__ = ["LeasedBucket", "LeasedLimiter", "SharedBudget"]
_SHARE: Final = 0.1
"""The share of a second's requests that an instance takes at a time."""
_RETRY: Final = 1.0
"""Seconds until JetStream is tried again."""
_TAKE_TIMEOUT: Final = 2.0
"""Seconds that taking has, with all its attempts: requests wait for it."""
_LOG: Final = LimitedLogger("weenats.rate_limit")
_LOST: Final = "the rate limits of %s count per instance now, as JetStream does not answer: %s"
_RESTORED: Final = "the rate limits of %s count for all instances again"


class SharedBudget:
    """What an instance takes from the limits of its service; without JetStream it takes nothing.

    Args:
        service: the name of the service.
        ledger: what is taken, by all instances.

    Attributes:
        is_shared: whether limits count for all instances; otherwise each counts for itself.
    """

    def __init__(self, service: str, ledger: Ledger) -> None:
        self._service = service
        self._ledger = ledger
        self._background = Background()
        self._retry_at = -math.inf
        self.is_shared = True

    @property
    def may_try(self) -> bool:
        """Whether to ask JetStream: it answers, or has not been asked for a while."""
        return self.is_shared or monotonic() >= self._retry_at

    async def open(self) -> None:
        """Create the bucket of the ledger, if JetStream answers."""
        try:
            await self._ledger.open()
        except ServiceError as error:
            self._lose(error)

    async def close(self, timeout: float) -> None:
        """End what runs in the background.

        Args:
            timeout: the seconds within which it has to end.
        """
        await self._background.close(timeout)

    async def take(self, name: str, limit: RateLimit, amount: float) -> Grant | None:
        """Take from a limit; None when JetStream does not answer.

        Args:
            name: what is limited.
            limit: the limit.
            amount: how much is wanted.
        """
        self._retry_at = monotonic() + _RETRY
        try:
            async with asyncio.timeout(_TAKE_TIMEOUT):
                if not self.is_shared:
                    await self._ledger.open()
                grant = await self._ledger.take(name, limit, amount)
        except ServiceError as error:
            self._lose(error)
            return None
        except TimeoutError:
            self._lose(DeadlineExceededError("it is too slow"))
            return None
        if not self.is_shared:
            self.is_shared = True
            _LOG.info(_RESTORED, self._service)
        return grant

    def lease(self, bucket: LeasedBucket) -> asyncio.Task[None]:
        """Let a bucket take more in the background.

        Args:
            bucket: the bucket.

        Returns:
            What takes. It goes on when a request that waits for it is cancelled: what it had taken
            would be lost for everybody.
        """
        return self._background.run(bucket.lease())

    def _lose(self, error: ServiceError) -> None:
        self._retry_at = monotonic() + _RETRY
        if self.is_shared:
            self.is_shared = False
            _LOG.warning(_LOST, self._service, error)


class LeasedBucket:
    """The part of one limit that this instance holds, and its own bucket for the time without.

    Args:
        budget: where it takes from.
        name: what is limited.
        limit: the limit.
    """

    __slots__ = (
        "_budget",
        "_chunk",
        "_kept_until",
        "_left",
        "_limit",
        "_local",
        "_lock",
        "_name",
        "_none_until",
        "_took_until",
    )

    def __init__(self, budget: SharedBudget, name: str, limit: RateLimit) -> None:
        self._budget = budget
        self._name = name
        self._limit = limit
        self._chunk = max(math.floor(limit.max_requests_per_second * _SHARE), 1)
        self._left = 0.0
        self._none_until = -math.inf
        self._took_until = -math.inf
        """When what it took has drained from the limit."""
        self._kept_until = monotonic() + _RETRY
        """Until when it is kept although it took nothing yet: its first request waits for that."""
        self._local = LeakyBucket(limit)
        self._lock = asyncio.Lock()

    @property
    def is_empty(self) -> bool:
        """Whether it has to take from the limit before it can tell whether a request passes."""
        return self._left < 1 and self._budget.is_shared and monotonic() >= self._none_until

    @property
    def level(self) -> float:
        """How full the bucket is by what passed on this instance, in requests."""
        return self._local.level

    def fill(self, level: float) -> None:
        """Set how full a new bucket is; it takes that from the limit before requests pass.

        Args:
            level: how full, in requests.
        """
        self._local.fill(level)
        self._left = -level

    def drained_after(self) -> float:
        """Return the seconds until the bucket is like a new one if no request comes, 0 if it is.

        One that took a chunk lately is not: a new one would take another.
        """
        until = max(self._none_until, self._took_until, self._kept_until)
        return max(self._local.drained_after(), until - monotonic())

    async def leased(self) -> None:
        """Wait until it has taken from the limit."""
        await asyncio.shield(self._budget.lease(self))

    async def lease(self) -> None:
        """Take from the limit, unless another request has done so meanwhile."""
        async with self._lock:
            if self._left >= max(self._chunk / 2, 1) or monotonic() < self._none_until:
                return
            if not self._budget.may_try:  # or all that wait here would try, one after the other
                return
            if self._left < 0:  # what it was filled with drains too
                self._left = -min(-self._left, self._local.level)
            wanted = math.ceil(self._chunk - self._left)
            grant = await self._budget.take(self._name, self._limit, wanted)
            if grant is not None:
                self._left += grant.amount
                now, rate = monotonic(), self._limit.max_requests_per_second
                self._took_until = max(self._took_until, now) + grant.amount / rate
                self._kept_until = now
                # Where there was less than wanted, half of the rest is worth the next message.
                rest = (wanted - grant.amount) / 2 / rate
                self._none_until = now + max(grant.wait, rest)

    def wait(self) -> float:
        """Return the seconds until the next request is allowed, 0 if it is allowed now."""
        if self._left >= 1:
            return 0.0
        if self._budget.is_shared:
            return max(self._none_until - monotonic(), 0.0)
        return self._local.wait()

    def take(self) -> None:
        """Count one request; when little is left, take more in the background."""
        self._local.wait()  # what has leaked, before one is added
        self._local.take()
        if self._left >= 1:
            self._left -= 1
        # A limit of which one request is taken at a time is exact: nothing is taken in advance.
        is_ahead = self._chunk > 1 and self._left < self._chunk / 2
        if (is_ahead or not self._budget.is_shared) and self._budget.may_try:
            self._ask()

    def _ask(self) -> None:
        if not self._lock.locked() and monotonic() >= self._none_until:
            self._budget.lease(self)


class LeasedLimiter(BucketTable[LeasedBucket]):
    """One bucket for each key, each of which takes from a limit of its own.

    Args:
        budget: where its buckets take from.
        name: what is limited.
        limit: the limit of each bucket.
        max_keys: the maximum number of buckets.
    """

    def __init__(self, budget: SharedBudget, name: str, limit: RateLimit, max_keys: int) -> None:
        def make(key: str | None) -> LeasedBucket:
            whose = "further" if key is None else f"key {key}"
            return LeasedBucket(budget, f"{name} {whose}", limit)

        super().__init__(make, max_keys)

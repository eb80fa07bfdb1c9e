"""Leaky buckets (aiolimiter) that never wait: one for all callers, or one for each key."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from aiolimiter import AsyncLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from weenats.contract import RateLimit

__all__ = [
    "Bucket",
    "BucketTable",
    "DrainingBucket",
    "KeyedLimiter",
    "LeakyBucket",
    "Limiter",
    "SharedLimiter",
]

_MAX_REMOVED: Final = 2
"""Number of drained buckets that one new key removes at most."""
_MAX_EXAMINED: Final = 1000
"""Number of buckets that one new key examines at most: a millisecond's work."""
_TOLERANCE: Final = 1e-6
"""Requests; a caller that waited for `retryAfter` must not be refused by a rounding error."""


class Bucket(Protocol):
    """A limit that requests count against."""

    def wait(self) -> float:
        """Return the seconds until the next request is allowed, 0 if it is allowed now."""
        ...

    def take(self) -> None:
        """Count one request, after `wait` returned 0."""
        ...


class DrainingBucket(Bucket, Protocol):
    """A bucket that is like a new one when it has drained."""

    @property
    def level(self) -> float:
        """How full the bucket is, in requests; 0 when it is like a new one."""
        ...

    def fill(self, level: float) -> None:
        """Set how full a new bucket is.

        Args:
            level: how full, in requests.
        """
        ...

    def drained_after(self) -> float:
        """Return the seconds until the bucket is drained if no request comes, 0 if it is."""
        ...


DrainingT = TypeVar("DrainingT", bound=DrainingBucket)


class Limiter(Protocol):
    """Maps keys to buckets; an implementation may share its buckets between instances."""

    def bucket(self, key: str) -> Bucket:
        """Return the bucket of a key.

        Args:
            key: the key of a caller.
        """
        ...


class LeakyBucket(AsyncLimiter):
    """The leaky bucket of aiolimiter, without its waiting.

    Args:
        limit: the limit of the bucket.
    """

    __slots__ = ()
    _level: float

    def __init__(self, limit: RateLimit) -> None:
        super().__init__(limit.capacity, limit.capacity / limit.max_requests_per_second)

    def wait(self) -> float:
        """Return the seconds until the next request is allowed, 0 if it is allowed now."""
        self._leak()
        excess = self._level + 1 - self.max_rate
        return excess / self._rate_per_sec if excess > _TOLERANCE else 0.0

    def take(self) -> None:
        """Count one request."""
        self._level += 1

    @property
    def level(self) -> float:
        """How full the bucket is, in requests; 0 when it is like a new one."""
        self._leak()
        return self._level if self._level > _TOLERANCE else 0.0

    def fill(self, level: float) -> None:
        """Set how full the bucket is.

        Args:
            level: how full, in requests.
        """
        self._leak()
        self._level = level

    def drained_after(self) -> float:
        """Return the seconds until the bucket is drained if no request comes, 0 if it is."""
        return self.level / self._rate_per_sec


class SharedLimiter:
    """One bucket for all callers.

    Args:
        limit: the limit of the bucket.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._bucket = LeakyBucket(limit)

    def bucket(self, key: str) -> Bucket:
        """Return the bucket.

        Args:
            key: ignored.
        """
        del key
        return self._bucket


class BucketTable(Generic[DrainingT]):
    """One bucket for each key, up to a maximum number of keys; a limiter.

    A drained bucket is like a new one, so it makes room for another key, wherever it stands among
    the others. While there are `max_keys` buckets in use, all new keys share one more bucket: a
    flood of keys takes no memory and resets no bucket. A key that gets a bucket of its own later
    begins at the level of the shared one, of which it may have used all, so that no key ever has
    more than its limit.

    Args:
        make: returns the bucket of a key, None for the shared one.
        max_keys: maximum number of buckets.
    """

    def __init__(self, make: Callable[[str | None], DrainingT], max_keys: int) -> None:
        self._make = make
        self._max_keys = max_keys
        self._buckets: dict[str, DrainingT] = {}
        self._drains: list[tuple[float, str]] = []
        """A heap with one entry for each key: no earlier than then its bucket is drained."""
        self._shared = make(None)

    def __len__(self) -> int:
        return len(self._buckets)

    def bucket(self, key: str) -> DrainingT:
        """Return the bucket of a key.

        Args:
            key: the key of a caller.
        """
        bucket = self._buckets.get(key)
        if bucket is not None:
            return bucket
        now = asyncio.get_running_loop().time()
        self._remove_drained(now)
        if len(self._buckets) >= self._max_keys:
            return self._shared
        bucket = self._buckets[key] = self._make(key)
        bucket.fill(self._shared.level)
        heappush(self._drains, (now, key))
        return bucket

    def _remove_drained(self, now: float) -> None:
        """Remove a few drained buckets, and correct the entries of those that were used again."""
        removed = examined = 0
        while self._drains and self._drains[0][0] <= now:
            if removed == _MAX_REMOVED or examined == _MAX_EXAMINED:
                return
            examined += 1
            _, key = heappop(self._drains)
            remaining = self._buckets[key].drained_after()
            if remaining:
                heappush(self._drains, (now + remaining, key))
            else:
                del self._buckets[key]
                removed += 1


class KeyedLimiter(BucketTable[LeakyBucket]):
    """One bucket of this instance for each key.

    Args:
        limit: the limit of each bucket.
        max_keys: maximum number of buckets.
    """

    def __init__(self, limit: RateLimit, max_keys: int) -> None:
        super().__init__(lambda _: LeakyBucket(limit), max_keys)

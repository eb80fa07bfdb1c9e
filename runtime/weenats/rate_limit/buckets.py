"""Leaky buckets (aiolimiter) that never wait: one for all callers, or one for each key."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

from aiolimiter import AsyncLimiter

if TYPE_CHECKING:
    from weenats.contract import RateLimit

__all__ = ["Bucket", "KeyedLimiter", "Limiter", "SharedLimiter"]

_MAX_REMOVED: Final = 2
"""Number of drained buckets that one new key removes at most."""
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


class Limiter(Protocol):
    """Maps keys to buckets; an implementation may share its buckets between instances."""

    def bucket(self, key: str) -> Bucket:
        """Return the bucket of a key.

        Args:
            key: the key of a caller.
        """
        ...


class _Bucket(AsyncLimiter):
    """The leaky bucket of aiolimiter, without its waiting."""

    __slots__ = ()
    _level: float

    def wait(self) -> float:
        """Return the seconds until the next request is allowed, 0 if it is allowed now."""
        self._leak()
        excess = self._level + 1 - self.max_rate
        return excess / self._rate_per_sec if excess > _TOLERANCE else 0.0

    def take(self) -> None:
        """Count one request."""
        self._level += 1

    @property
    def is_drained(self) -> bool:
        """Whether the bucket is empty, like a new one."""
        self._leak()
        return self._level == 0


class SharedLimiter:
    """One bucket for all callers.

    Args:
        limit: the limit of the bucket.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._bucket = _bucket(limit)

    def bucket(self, key: str) -> Bucket:
        """Return the bucket.

        Args:
            key: ignored.
        """
        del key
        return self._bucket


class KeyedLimiter:
    """One bucket for each key, up to a maximum number of keys.

    Drained buckets are removed first. While there are `max_keys` buckets in use, all new keys share
    one more bucket, so that a flood of keys takes no memory and resets no bucket.

    Args:
        limit: the limit of each bucket.
        max_keys: maximum number of buckets.
    """

    def __init__(self, limit: RateLimit, max_keys: int) -> None:
        self._limit = limit
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._overflow = _bucket(limit)

    def __len__(self) -> int:
        return len(self._buckets)

    def bucket(self, key: str) -> Bucket:
        """Return the bucket of a key and mark it as the most recently used.

        Args:
            key: the key of a caller.
        """
        bucket = self._buckets.get(key)
        if bucket is not None:
            self._buckets.move_to_end(key)
            return bucket
        self._remove_drained()
        if len(self._buckets) >= self._max_keys:
            return self._overflow
        bucket = self._buckets[key] = _bucket(self._limit)
        return bucket

    def _remove_drained(self) -> None:
        """Remove a few of the least recently used buckets if they are drained."""
        for _ in range(min(_MAX_REMOVED, len(self._buckets))):
            key = next(iter(self._buckets))
            if not self._buckets[key].is_drained:
                return
            del self._buckets[key]


def _bucket(limit: RateLimit) -> _Bucket:
    return _Bucket(limit.capacity, limit.capacity / limit.max_requests_per_second)

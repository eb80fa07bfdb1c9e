"""Buckets: aiolimiter's, asked without waiting; one for all, or one for each of many keys."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

from aiolimiter import AsyncLimiter

if TYPE_CHECKING:
    from weenats.contract import RateLimit

_DROPPED_AT_ONCE: Final = 2
_TOLERANCE: Final = 1e-6
"""Requests: who waited as long as it was told is not refused for a rounding error."""


class Bucket(Protocol):
    """Has room for requests, or not yet."""

    def wait(self) -> float:
        """Return 0 when there is room for a request, else seconds until there is."""
        ...

    def take(self) -> None:
        """Take the room that `wait` has found."""
        ...


class Limiter(Protocol):
    """Knows whose requests take from which bucket; the buckets may be those of other instances."""

    def bucket(self, key: str) -> Bucket:
        """Return the bucket of a key."""
        ...


class _Bucket(AsyncLimiter):
    """aiolimiter's leaky bucket, without the waiting."""

    __slots__ = ()
    _level: float

    def wait(self) -> float:
        """Return seconds until there is room for one request, 0 when there is."""
        self._leak()
        excess = self._level + 1 - self.max_rate
        return excess / self._rate_per_sec if excess > _TOLERANCE else 0.0

    def take(self) -> None:
        """Take the room of one request."""
        self._level += 1

    @property
    def is_drained(self) -> bool:
        """Say whether it is as good as new."""
        self._leak()
        return self._level == 0


class SharedLimiter:
    """One bucket for all."""

    def __init__(self, limit: RateLimit) -> None:
        self._bucket = _bucket(limit)

    def bucket(self, key: str) -> Bucket:
        """Return the bucket."""
        del key
        return self._bucket


class KeyedLimiter:
    """A bucket for each key, at most so many.

    A bucket that has drained is as good as none, and goes first. While as many keys as there may be
    are in use, all new ones share a bucket: a flood of keys takes no memory, and resets nobody.
    """

    def __init__(self, limit: RateLimit, max_keys: int) -> None:
        self._limit = limit
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._overflow = _bucket(limit)

    def __len__(self) -> int:
        return len(self._buckets)

    def bucket(self, key: str) -> Bucket:
        """Return the bucket of a key, of those that are in use the one used last."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            self._buckets.move_to_end(key)
            return bucket
        self._drop_drained()
        if len(self._buckets) >= self._max_keys:
            return self._overflow
        bucket = self._buckets[key] = _bucket(self._limit)
        return bucket

    def _drop_drained(self) -> None:
        """Drop a few from the end that was not used for longest."""
        for _ in range(min(_DROPPED_AT_ONCE, len(self._buckets))):
            key = next(iter(self._buckets))
            if not self._buckets[key].is_drained:
                return
            del self._buckets[key]


def _bucket(limit: RateLimit) -> _Bucket:
    return _Bucket(limit.capacity, limit.capacity / limit.max_requests_per_second)

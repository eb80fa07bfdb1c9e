"""How many requests are let through: buckets of one running instance, asked without waiting.

A caller that comes too often is told so at once, and when to come again.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, Protocol

from aiolimiter import AsyncLimiter

from weenats.errors import RETRY_AFTER, ResourceExhaustedError, UnauthenticatedError
from weenats.telemetry import names

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats.context import RequestContext, Response
    from weenats.contract import AnyOperation, RateLimit
    from weenats.interceptors import CallNext, Interceptor
    from weenats.telemetry.manager import Attributes

KeyExtractor = Callable[["RequestContext"], str | None]
"""Returns whose bucket a request takes from; None when it cannot say."""
MissingPrincipal = Literal["shared", "reject"]

_LOG: Final = logging.getLogger("weenats.rate_limit")
_MAX_CLIENTS: Final = 1_000_000
_LONGEST_KEY: Final = 128
_SHARED: Final = ""
_DROPPED_AT_ONCE: Final = 2


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
        return excess / self._rate_per_sec if excess > 0 else 0.0

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSettings:
    """What `with_rate_limit` was told.

    Raises:
        ValueError: a value is out of bounds, or they do not go together.
    """

    limit: RateLimit
    per_client: bool = False
    key_extractor: KeyExtractor | None = None
    on_missing_principal: MissingPrincipal = "shared"
    max_clients: int = 10_000

    def __post_init__(self) -> None:
        if self.key_extractor is not None and not callable(self.key_extractor):
            raise TypeError("key_extractor is a callable that takes a RequestContext")
        if self.on_missing_principal not in ("shared", "reject"):
            raise ValueError(
                f"on_missing_principal is shared or reject, not {self.on_missing_principal!r}"
            )
        if type(self.max_clients) is not int or not 1 <= self.max_clients <= _MAX_CLIENTS:
            raise ValueError(f"max_clients is from 1 to {_MAX_CLIENTS}, not {self.max_clients!r}")

    @property
    def is_keyed(self) -> bool:
        """Say whether callers have buckets of their own."""
        return self.per_client or self.key_extractor is not None

    @property
    def identity(self) -> str:
        """Say by what callers are told apart."""
        if self.key_extractor is not None:
            return "key"
        return "principal" if self.per_client else "all"

    def limiter(self, limit: RateLimit) -> Limiter:
        """Return new buckets of a limit, by the keys of this one."""
        return KeyedLimiter(limit, self.max_clients) if self.is_keyed else SharedLimiter(limit)


class RateLimitInterceptor:
    """Lets a request of one operation through when every limit has room, and takes it from all.

    Args:
        operation: what it stands before.
        limiters: the service's, the contract's, or both: the strictest decides.
        settings: whose buckets; None makes no difference between callers.
    """

    def __init__(
        self,
        operation: AnyOperation,
        limiters: tuple[Limiter, ...],
        settings: RateLimitSettings | None = None,
    ) -> None:
        self._operation = operation
        self._limiters = limiters
        self._is_keyed = settings is not None and settings.is_keyed
        self._extract = None if settings is None else settings.key_extractor
        self._rejects = settings is not None and settings.on_missing_principal == "reject"
        self._buckets = [limiter.bucket(_SHARED) for limiter in limiters]
        self.refused = 0
        """How many requests it has refused."""

    def __call__(self, context: RequestContext, call_next: CallNext, /) -> Awaitable[Response]:
        """Let a request through, or refuse it.

        Raises:
            ResourceExhaustedError: there is no room now; details say when there is.
            UnauthenticatedError: nobody says who calls, and such requests are rejected.
        """
        buckets = self._buckets
        if self._is_keyed:
            key = self._key(context)
            buckets = [limiter.bucket(key) for limiter in self._limiters]
        for bucket in buckets:
            wait = bucket.wait()
            if wait > 0:
                self._refuse(context, max(wait, *(each.wait() for each in buckets)))
        for bucket in buckets:
            bucket.take()
        return call_next(context)

    def statistics(self) -> dict[str, JsonValue]:
        """Return what `$SRV.STATS` tells of it."""
        return {"refused": self.refused}

    def _key(self, context: RequestContext) -> str:
        if self._extract is not None:
            key = self._extract(context)
            if key is not None and not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance] - a caller's function
                raise TypeError(f"key_extractor returned {type(key).__name__}, not text or None")
        else:
            principal = context.principal
            key = None if principal is None else f"{principal.issuer or ''}\n{principal.id}"
        if key is None:
            if self._rejects:
                self.refused += 1
                raise UnauthenticatedError
            return _SHARED
        # Not the text itself where it is long: who chooses keys must not choose how much we keep.
        return f"k{key}" if len(key) <= _LONGEST_KEY else _digest(key)

    def _refuse(self, context: RequestContext, wait: float) -> None:
        self.refused += 1
        context.set_attribute(names.FEATURE_RATE_LIMIT, value=True)
        context.add_event(names.RATE_LIMIT_REFUSED)
        milliseconds = math.ceil(wait * 1000)
        _LOG.debug("%s refused a request, %d ms too early", self._operation.subject, milliseconds)
        raise ResourceExhaustedError(
            f"too many requests for {self._operation.name}", details={RETRY_AFTER: milliseconds}
        )


class RateLimits:
    """What limits the operations of one running instance.

    Args:
        settings: the service's limit; None leaves it at those of the contract.
        operations: what the service offers.
    """

    def __init__(
        self, settings: RateLimitSettings | None, operations: Iterable[AnyOperation]
    ) -> None:
        self._settings = settings
        service = None if settings is None else settings.limiter(settings.limit)
        self._by_operation: dict[AnyOperation, RateLimitInterceptor] = {}
        for operation in operations:
            limiters = [] if service is None else [service]
            if (limit := operation.rate_limit) is not None:
                limiters.append(settings.limiter(limit) if settings else SharedLimiter(limit))
            if limiters:
                interceptor = RateLimitInterceptor(operation, tuple(limiters), settings)
                self._by_operation[operation] = interceptor

    def placed(
        self, operation: AnyOperation, chain: Iterable[Interceptor | RateLimitSettings]
    ) -> list[Interceptor]:
        """Return the interceptors of an operation, the limit among them where it was added.

        A limit of the contract alone is the innermost.
        """
        limit = self._by_operation.get(operation)
        placed = [limit if isinstance(each, RateLimitSettings) else each for each in chain]
        if self._settings is None:
            placed.append(limit)
        return [each for each in placed if each is not None]

    @property
    def refused(self) -> int | None:
        """How many requests were refused, None when nothing is limited."""
        limits = self._by_operation.values()
        return sum(each.refused for each in limits) if limits else None

    def attributes(self, operation: AnyOperation) -> Attributes:
        """Return what is said of it on the spans of most requests."""
        if operation not in self._by_operation:
            return {}
        identity = "all" if self._settings is None else self._settings.identity
        return {names.FEATURE_RATE_LIMIT: False, names.RATE_LIMIT_IDENTITY: identity}

    def data(self, operation: AnyOperation) -> dict[str, Callable[[], JsonValue]]:
        """Return what adds to the `data` of an operation in `$SRV.STATS`."""
        limit = self._by_operation.get(operation)
        return {} if limit is None else {"rateLimit": limit.statistics}


def _bucket(limit: RateLimit) -> _Bucket:
    return _Bucket(limit.burst, limit.burst / limit.max_requests_per_second)


def _digest(key: str) -> str:
    return "d" + blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()

"""What stands before an operation and counts; who comes too often is told when to come again."""

from __future__ import annotations

import logging
import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from weenats.errors import RETRY_AFTER, ResourceExhaustedError, UnauthenticatedError
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pydantic import JsonValue

    from weenats.context import RequestContext, Response
    from weenats.contract import AnyOperation
    from weenats.interceptors import CallNext
    from weenats.principal import Principal
    from weenats.rate_limit.buckets import Limiter
    from weenats.rate_limit.settings import RateLimitSettings

_LOG: Final = logging.getLogger("weenats.rate_limit")
_LONGEST_KEY: Final = 128
_SHARED: Final = ""


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
            key = None if principal is None else _name_of(principal)
        if key is None:
            if self._rejects:
                self.refused += 1
                raise UnauthenticatedError
            return _SHARED
        # Not the text itself where it is long: who chooses keys must not choose how much we keep.
        return f"k{key}" if len(key) <= _LONGEST_KEY else _digest(key)

    def _refuse(self, context: RequestContext, wait: float) -> None:
        self.refused += 1
        context.note_feature(semconv.FEATURE_RATE_LIMIT, value=True)
        context.add_event(semconv.RATE_LIMIT_REFUSED)
        milliseconds = math.ceil(wait * 1000)
        _LOG.debug("%s refused a request, %d ms too early", self._operation.subject, milliseconds)
        raise ResourceExhaustedError(
            f"too many requests for {self._operation.name}", details={RETRY_AFTER: milliseconds}
        )


def _name_of(principal: Principal) -> str:
    """Return who it is, by whose word; its length keeps the one from running into the other."""
    issuer = principal.issuer or ""
    return f"{len(issuer)} {issuer}{principal.id}"


def _digest(key: str) -> str:
    return "d" + blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()

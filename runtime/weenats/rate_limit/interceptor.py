"""The interceptor that refuses requests above a rate limit."""

from __future__ import annotations

import logging
import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NoReturn

from weenats.errors import RETRY_AFTER, InternalError, ResourceExhaustedError, UnauthenticatedError
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from weenats.context import RequestContext, Response
    from weenats.contract import AnyOperation
    from weenats.interceptors import CallNext
    from weenats.principal import Principal
    from weenats.rate_limit.buckets import Bucket, Limiter
    from weenats.rate_limit.settings import RateLimitSettings

__all__ = ["RateLimitInterceptor"]
_LOG: Final = logging.getLogger("weenats.rate_limit")
_LONGEST_KEY: Final = 128
_SHARED: Final = ""
_PLAIN: Final = "k"
_DIGEST: Final = "d"
"""The first letters of keys keep apart the shared bucket, keys as they are, and digests of keys."""


class RateLimitInterceptor:
    """Lets a request of one operation pass when all limiters have room, and takes it from all.

    Args:
        operation: the operation.
        limiters: the service's, the contract's, or both; a request needs room in each of them.
        settings: whose requests are counted together.
    """

    def __init__(
        self, operation: AnyOperation, limiters: Sequence[Limiter], settings: RateLimitSettings
    ) -> None:
        self._operation = operation
        self._limiters = limiters
        self._is_keyed = settings.is_keyed
        self._extract = settings.key_extractor
        self._rejects = settings.on_missing_principal == "reject"
        self._buckets = [] if self._is_keyed else [each.bucket(_SHARED) for each in limiters]
        self._refused_kinds: set[str] = set()
        self.refused = 0
        """How many requests it has refused."""

    def __call__(self, context: RequestContext, call_next: CallNext, /) -> Awaitable[Response]:
        """Let a request pass, or refuse it.

        Raises:
            ResourceExhaustedError: the request is above a limit; `retryAfter` in its details is
                the time in milliseconds after which it would pass.
            UnauthenticatedError: the request has no key, and the settings reject such requests.
            InternalError: the key extractor returned something else than a str or None, which is
                logged once for each type.
        """
        buckets = self._buckets
        if self._is_keyed:
            key = self._key(context)
            buckets = [limiter.bucket(key) for limiter in self._limiters]
        return self._pass(buckets, context, call_next)

    def _pass(
        self, buckets: Sequence[Bucket], context: RequestContext, call_next: CallNext
    ) -> Awaitable[Response]:
        for bucket in buckets:
            wait = bucket.wait()
            if wait > 0:
                self._refuse(context, max(wait, *(each.wait() for each in buckets)))
        for bucket in buckets:
            bucket.take()
        return call_next(context)

    def _key(self, context: RequestContext) -> str:
        if self._extract is not None:
            key = self._extract(context)
            if key is not None and not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance] - a user's function
                self._refuse_key(type(key).__name__)
        else:
            principal = context.principal
            key = None if principal is None else _key_of(principal)
        if key is None:
            if self._rejects:
                self.refused += 1
                raise UnauthenticatedError
            return _SHARED
        # Callers may choose their keys: a long one is hashed, so that it does not take memory.
        return _PLAIN + key if len(key) <= _LONGEST_KEY else _digest(key)

    def _refuse_key(self, kind: str) -> NoReturn:
        if kind not in self._refused_kinds:  # callers may be able to cause it
            self._refused_kinds.add(kind)
            text = "%s refuses requests: key_extractor must return str or None, not %s"
            _LOG.error(text, self._operation.subject, kind)
        raise InternalError

    def _refuse(self, context: RequestContext, wait: float) -> NoReturn:
        self.refused += 1
        context.note_feature({semconv.FEATURE_RATE_LIMIT: True})
        context.add_event(semconv.RATE_LIMIT_REFUSED)
        milliseconds = math.ceil(wait * 1000)
        _LOG.debug("%s refused a request; retry after %d ms", self._operation.subject, milliseconds)
        raise ResourceExhaustedError(
            f"too many requests for {self._operation.label}", details={RETRY_AFTER: milliseconds}
        )


def _key_of(principal: Principal) -> str:
    """Return a key for a principal; the length of the issuer keeps issuer and id apart."""
    issuer = principal.issuer or ""
    return f"{len(issuer)} {issuer}{principal.id}"


def _digest(key: str) -> str:
    return _DIGEST + blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()

"""Rate limiting: token buckets of one running instance; requests above a limit fail immediately."""

from weenats.rate_limit.buckets import Bucket, KeyedLimiter, Limiter, SharedLimiter
from weenats.rate_limit.interceptor import RateLimitInterceptor
from weenats.rate_limit.limits import RateLimits
from weenats.rate_limit.settings import (
    KeyExtractor,
    LimitScope,
    MissingPrincipal,
    RateLimitSettings,
)

__all__ = [
    "Bucket",
    "KeyExtractor",
    "KeyedLimiter",
    "LimitScope",
    "Limiter",
    "MissingPrincipal",
    "RateLimitInterceptor",
    "RateLimitSettings",
    "RateLimits",
    "SharedLimiter",
]

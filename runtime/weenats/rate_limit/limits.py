"""What limits the operations of one running instance, and where in their chains it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats.rate_limit.buckets import SharedLimiter
from weenats.rate_limit.interceptor import RateLimitInterceptor
from weenats.rate_limit.settings import RateLimitSettings
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic import JsonValue

    from weenats.contract import AnyOperation
    from weenats.interceptors import Interceptor
    from weenats.telemetry.manager import Attributes


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
        return {semconv.FEATURE_RATE_LIMIT: False, semconv.RATE_LIMIT_IDENTITY: identity}

    def data(self, operation: AnyOperation) -> dict[str, Callable[[], JsonValue]]:
        """Return what adds to the `data` of an operation in `$SRV.STATS`."""
        limit = self._by_operation.get(operation)
        return {} if limit is None else {"rateLimit": limit.statistics}

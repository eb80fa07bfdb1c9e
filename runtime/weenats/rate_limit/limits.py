"""The rate limits of one running instance, as a member of its chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats.interceptors import PRINCIPAL, Description, ServiceFeature, Setting
from weenats.rate_limit.interceptor import RateLimitInterceptor
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from weenats.contract import AnyOperation, RateLimit
    from weenats.rate_limit.settings import RateLimitSettings

__all__ = ["RateLimits"]
_NO_PRINCIPAL: Final = (
    "with_rate_limit(per_client=True) requires authentication before it: {remedy}, or pass a"
    " key_extractor"
)


class RateLimits(ServiceFeature):
    """Limits the requests of all operations: by the limit of the service and by the contract's.

    Args:
        settings: the limit of the service, and whose requests are counted together.
        operations: the operations of the service.
    """

    def __init__(self, settings: RateLimitSettings, operations: Iterable[AnyOperation]) -> None:
        self._settings = settings
        service = [] if settings.limit is None else [settings.limiter(settings.limit)]
        self._interceptors: dict[AnyOperation, RateLimitInterceptor] = {}
        for operation in operations:
            limit = operation.rate_limit
            limiters = [*service, *([] if limit is None else [settings.limiter(limit)])]
            if limiters:
                self._interceptors[operation] = RateLimitInterceptor(operation, limiters, settings)

    @property
    def refused(self) -> int:
        """How many requests were refused."""
        return sum(each.refused for each in self._interceptors.values())

    @override
    def interceptor(self, operation: AnyOperation) -> RateLimitInterceptor | None:
        return self._interceptors.get(operation)

    @override
    def describe(self, operation: AnyOperation) -> Description | None:
        interceptor = self._interceptors.get(operation)
        if interceptor is None:
            return None
        settings: list[Setting] = []
        if self._settings.limit is not None:
            value = self._text(self._settings.limit)
            settings.append(Setting("rate limit", value, "with_rate_limit"))
        if operation.rate_limit is not None:
            name = "additional rate limit" if settings else "rate limit"
            settings.append(Setting(name, self._text(operation.rate_limit), "contract"))
        identity = self._settings.identity
        return Description(
            name="rate limit",
            settings=tuple(settings),
            requires={PRINCIPAL: _NO_PRINCIPAL} if identity == "principal" else {},
            span_attributes={
                semconv.FEATURE_RATE_LIMIT: False,
                semconv.RATE_LIMIT_IDENTITY: identity,
            },
            statistics={"rateLimit": lambda: {"refused": interceptor.refused}},
        )

    @override
    def gauges(self) -> Mapping[str, float]:
        return {semconv.LIMIT_REFUSALS: self.refused} if self._interceptors else {}

    def _text(self, limit: RateLimit) -> str:
        whose = "of each caller" if self._settings.is_keyed else "of all callers"
        return f"{limit.max_requests_per_second:g} a second, {limit.capacity:g} at once, {whose}"

"""The rate limits of one running instance, as a member of its chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats.interceptors import PRINCIPAL, Description, ServiceFeature, Setting
from weenats.protocol.messages import HealthCheckEntry
from weenats.rate_limit.interceptor import RateLimitInterceptor
from weenats.rate_limit.leases import LeasedLimiter, SharedBudget
from weenats.rate_limit.shared_interceptor import SharedLimitInterceptor
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue

    from weenats.contract import AnyOperation, RateLimit
    from weenats.rate_limit.buckets import Limiter
    from weenats.rate_limit.settings import RateLimitSettings
    from weenats.transport.base import Transport

__all__ = ["RateLimits"]
_NO_PRINCIPAL: Final = (
    "with_rate_limit(per_client=True) requires authentication before it: {remedy}, or pass a"
    " key_extractor"
)

_CHECK: Final = "rate-limits"
_NOT_SHARED: Final = "limits count per instance now, as JetStream does not answer"


class RateLimits(ServiceFeature):
    """Limits the requests of all operations: by the limit of the service and by the contract's.

    Args:
        settings: the limit of the service, and whose requests are counted together.
        operations: the operations of the service.
        transport: the connection for limits that instances share; None for a chain that is only
            described.
    """

    def __init__(
        self,
        settings: RateLimitSettings,
        operations: Sequence[AnyOperation],
        transport: Transport | None = None,
    ) -> None:
        self._settings = settings
        self._budget = _budget(settings, operations, transport)
        service = [] if settings.limit is None else [self._limiter("service", settings.limit)]
        self._interceptors: dict[AnyOperation, RateLimitInterceptor] = {}
        kind = RateLimitInterceptor if self._budget is None else SharedLimitInterceptor
        for operation in operations:
            limit = operation.rate_limit
            own = [] if limit is None else [self._limiter(operation.subject, limit)]
            if limiters := [*service, *own]:
                self._interceptors[operation] = kind(operation, limiters, settings)

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
            statistics={"rateLimit": lambda: self._statistics(interceptor)},
        )

    @override
    async def start(self) -> None:
        if self._budget is not None:
            await self._budget.open()

    @override
    async def close(self, timeout: float) -> None:
        if self._budget is not None:
            await self._budget.close(timeout)

    @override
    def health_checks(self) -> Sequence[HealthCheckEntry]:
        if self._budget is None or self._budget.is_shared:
            return ()
        return (HealthCheckEntry(name=_CHECK, status="ok", message=_NOT_SHARED),)

    @override
    def gauges(self) -> Mapping[str, float]:
        return {semconv.LIMIT_REFUSALS: self.refused} if self._interceptors else {}

    def _text(self, limit: RateLimit) -> str:
        whose = "of each caller" if self._settings.is_keyed else "of all callers"
        shared = ", in all instances together" if self._settings.scope == "service" else ""
        rate = f"{limit.max_requests_per_second:g} a second, {limit.capacity:g} at once"
        return f"{rate}, {whose}{shared}"

    def _limiter(self, name: str, limit: RateLimit) -> Limiter:
        if self._budget is None:
            return self._settings.limiter(limit)
        return LeasedLimiter(self._budget, name, limit, self._settings.max_clients)

    def _statistics(self, interceptor: RateLimitInterceptor) -> dict[str, JsonValue]:
        refused: dict[str, JsonValue] = {"refused": interceptor.refused}
        return refused if self._budget is None else {**refused, "shared": self._budget.is_shared}


def _budget(
    settings: RateLimitSettings, operations: Sequence[AnyOperation], transport: Transport | None
) -> SharedBudget | None:
    """Return what limits that instances share are taken from, None if they share none."""
    if settings.scope == "instance" or transport is None or not operations:
        return None
    from weenats.rate_limit.ledger import Ledger  # noqa: PLC0415 - few services share limits

    service = operations[0].contract.name
    return SharedBudget(service, Ledger(service, transport))

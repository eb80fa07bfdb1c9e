"""What a service was told to be, before it runs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.auth.authentication import Authentication
    from weenats.circuit_breaker import CircuitBreakerPolicy
    from weenats.interceptors import Interceptor
    from weenats.rate_limit import RateLimitSettings
    from weenats.service.health import HealthSettings
    from weenats.service.monitoring import MonitoringSettings
    from weenats.telemetry.settings import TelemetrySettings
    from weenats.transport.base import Transport
    from weenats.transport.options import ConnectionOptions

_QUEUE_FACTOR: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What the builder was told; the defaults are those of its methods."""

    servers: str | Sequence[str]
    connection: ConnectionOptions
    transport: Transport | None
    queue_group: str
    max_concurrency: int = 10
    max_queue: int | None = None
    max_queue_time: float = 5.0
    self_eject: bool = False
    drain_timeout: float = 30.0
    interceptors: tuple[Interceptor | RateLimitSettings, ...] = ()
    rate_limit: RateLimitSettings | None = None
    auth: Authentication | None = None
    circuit_breaker: CircuitBreakerPolicy | None = None
    telemetry: TelemetrySettings | None = None
    health: HealthSettings | None = None
    monitoring: MonitoringSettings | None = None

    @property
    def max_waiting(self) -> int:
        """How many requests may wait."""
        return self.max_concurrency * _QUEUE_FACTOR if self.max_queue is None else self.max_queue

    def is_default(self, name: str) -> bool:
        """Say whether a setting is what it is without anybody's word."""
        defaults = {each.name: each.default for each in fields(self)}
        return bool(getattr(self, name) == defaults[name])

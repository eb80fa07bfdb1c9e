"""The settings of a service, as its builder has collected them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from weenats.aggregates.settings import AggregateSettings
from weenats.auth import JwksKeySource
from weenats.service.chain import Member
from weenats.service.health import HealthSettings
from weenats.service.monitoring import MonitoringSettings
from weenats.telemetry import TelemetrySettings
from weenats.transport.base import Transport
from weenats.transport.options import ConnectionOptions

__all__ = ["ServiceSettings"]
_QUEUE_FACTOR: Final = 10
_AGGREGATES: Final = AggregateSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """The settings of a service; the defaults are those of the builder's methods.

    Attributes:
        members: the members of the chain, the outermost first.
        jwks: the published keys that tokens are verified with, None when there are none.
        auth_is_off: whether a NoAuthConfig has turned authentication off.
        streams: what is done with the streams of the contract at the start; None: missing ones are
            created.
    """

    servers: str | Sequence[str] = field(repr=False)  # URLs may have passwords
    connection: ConnectionOptions
    transport: Transport | None
    queue_group: str
    max_concurrency: int = 10
    max_queue: int | None = None
    max_queue_time: float = 5.0
    self_eject: bool = False
    drain_timeout: float = 30.0
    members: tuple[Member[Any], ...] = ()
    jwks: JwksKeySource | None = None
    auth_is_off: bool = False
    telemetry: TelemetrySettings | None = None
    health: HealthSettings | None = None
    monitoring: MonitoringSettings | None = None
    aggregates: AggregateSettings = _AGGREGATES
    streams: Literal["apply", "check"] | None = None

    @property
    def max_waiting(self) -> int:
        """How many requests may wait."""
        return self.max_concurrency * _QUEUE_FACTOR if self.max_queue is None else self.max_queue

    def is_default(self, name: str) -> bool:
        """Return whether a setting has its default value.

        Args:
            name: the name of the attribute.
        """
        defaults = {each.name: each.default for each in fields(self)}
        return bool(getattr(self, name) == defaults[name])

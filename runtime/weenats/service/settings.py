"""The settings of a service, as its builder has collected them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from weenats.telemetry.manager import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weenats.auth import JwksKeySource
    from weenats.contract import AnyOperation
    from weenats.interceptors import ServiceFeature
    from weenats.service.health import HealthSettings
    from weenats.service.monitoring import MonitoringSettings
    from weenats.telemetry import TelemetryManager, TelemetrySettings
    from weenats.transport.base import Transport
    from weenats.transport.options import ConnectionOptions

__all__ = ["Host", "Member", "Position", "ServiceSettings"]
_QUEUE_FACTOR: Final = 10
OptionsT = TypeVar("OptionsT")


class Position(IntEnum):
    """Where a member stands in the chain; those of one position keep the order of their calls."""

    OUTERMOST = 0
    AS_ADDED = 1
    INNER = 2
    INNERMOST = 3


@dataclass(frozen=True, slots=True)
class Host:
    """What features may use of the running instance that they belong to.

    Attributes:
        operations: the operations of the service.
        queue_group: the queue group of the instance.
        telemetry: its telemetry.
        review: to be called when the readiness of a feature has changed.
        chain: all members of the chain, the outermost first.
    """

    operations: Sequence[AnyOperation]
    queue_group: str = ""
    telemetry: TelemetryManager = SILENT
    review: Callable[[], None] = lambda: None
    chain: list[ServiceFeature] = field(default_factory=list["ServiceFeature"])


@dataclass(frozen=True, slots=True)
class Member(Generic[OptionsT]):
    """A member of the chain, as the builder keeps it.

    Attributes:
        added_by: the method of the builder that added it, or "contract".
        options: what the method was called with.
        build: returns the feature of one running instance, from the options.
        position: where it stands.
    """

    added_by: str
    options: OptionsT
    build: Callable[[OptionsT, Host], ServiceFeature]
    position: Position = Position.AS_ADDED


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """The settings of a service; the defaults are those of the builder's methods.

    Attributes:
        members: the members of the chain, the outermost first.
        jwks: the published keys that tokens are verified with, None when there are none.
    """

    servers: str | Sequence[str]
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
    telemetry: TelemetrySettings | None = None
    health: HealthSettings | None = None
    monitoring: MonitoringSettings | None = None

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

    def build_chain(self, host: Host) -> list[ServiceFeature]:
        """Build the members of the chain for one instance.

        Args:
            host: the instance.

        Returns:
            The features, the outermost first.
        """
        host.chain.extend(member.build(member.options, host) for member in self.members)
        return host.chain

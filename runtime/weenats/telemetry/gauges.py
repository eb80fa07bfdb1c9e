"""What running services say of themselves, read when metrics are exported."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, Observation

from weenats.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from weenats.contract import ServiceContract
    from weenats.telemetry.manager import TelemetryManager

__all__ = ["Observed", "observe"]
_GAUGES: Final[Mapping[str, tuple[str, str]]] = {
    semconv.IN_FLIGHT: ("{request}", "Requests whose handlers run."),
    semconv.QUEUED: ("{request}", "Requests that wait to be run."),
    semconv.DRAINING: ("1", "1 while the service finishes what it admitted, else 0."),
    semconv.BREAKERS_OPEN: ("{breaker}", "Circuit breakers that are not closed."),
    semconv.LIMIT_REFUSALS: ("{request}", "Requests refused by the rate limit since the start."),
    semconv.JWKS_AGE: ("s", "Age of the keys that tokens are verified with."),
}


class Observed(Protocol):
    """A service that can be looked at."""

    contract: ServiceContract
    instance_id: str

    def gauges(self) -> Mapping[str, float]:
        """Return what holds now, by the names of gauges; nothing once it has stopped."""
        ...


_OF_THE_APPLICATION: Final[WeakSet[Observed]] = WeakSet()
"""All that go to the application's provider: of two gauges of one name it keeps the first."""


def observe(service: Observed, manager: TelemetryManager) -> None:
    """Let gauges tell of a service from now on; they do not keep it alive."""
    services = _OF_THE_APPLICATION if manager.is_shared else WeakSet[Observed]()
    services.add(service)
    for name, (unit, description) in _GAUGES.items():
        read = partial(_read, name, services)
        manager.meter.create_observable_gauge(name, [read], unit, description)


def _read(name: str, services: Iterable[Observed], _: CallbackOptions) -> list[Observation]:
    return [
        Observation(
            values[name],
            {semconv.SERVICE: service.contract.name, semconv.INSTANCE: service.instance_id},
        )
        for service in tuple(services)
        if name in (values := service.gauges())
    ]

"""Gauges of running services, which are read when metrics are exported."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final, Protocol
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, Observation

from weenats.contract import ServiceContract
from weenats.telemetry import semconv
from weenats.telemetry.manager import TelemetryManager

__all__ = ["Observed", "observe"]
_GAUGES: Final[Mapping[str, tuple[str, str]]] = {
    semconv.IN_FLIGHT: ("{request}", "Requests whose handlers run."),
    semconv.QUEUED: ("{request}", "Requests that wait in the queue."),
    semconv.DRAINING: ("1", "1 while the service finishes the admitted requests, else 0."),
    semconv.BREAKERS_OPEN: ("{breaker}", "Circuit breakers that are not closed."),
    semconv.LIMIT_REFUSALS: ("{request}", "Requests refused by the rate limit since the start."),
    semconv.JWKS_AGE: ("s", "Age of the published keys that tokens are verified with."),
}


class Observed(Protocol):
    """A running service."""

    contract: ServiceContract
    instance_id: str

    def gauges(self) -> Mapping[str, float]:
        """Return the current values, by the names of gauges; empty once it has stopped."""
        ...


_OF_THE_APPLICATION: Final[WeakSet[Observed]] = WeakSet()
"""The services that use the application's provider, which has one gauge of each name."""


def observe(service: Observed, manager: TelemetryManager) -> None:
    """Add a service to the gauges, without keeping it alive.

    Args:
        service: the service.
        manager: creates the gauges.
    """
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

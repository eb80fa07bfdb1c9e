"""Gauges of running services and consumers, which are read when metrics are exported."""

from collections.abc import Mapping
from functools import partial
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from opentelemetry.metrics import CallbackOptions, Observation

from weenats.telemetry import semconv
from weenats.telemetry.manager import Attributes, TelemetryManager

__all__ = ["OF_CONSUMERS", "OF_SERVICES", "Gauges", "Observed", "observe"]
Gauges = Mapping[str, tuple[str, str]]
"""The units and the descriptions of gauges, by their names."""
OF_SERVICES: Final[Gauges] = {
    semconv.IN_FLIGHT: ("{request}", "Requests whose handlers run."),
    semconv.QUEUED: ("{request}", "Requests that wait in the queue."),
    semconv.DRAINING: ("1", "1 while the service finishes the admitted requests, else 0."),
    semconv.BREAKERS_OPEN: ("{breaker}", "Circuit breakers that are not closed."),
    semconv.LIMIT_REFUSALS: ("{request}", "Requests refused by the rate limit since the start."),
    semconv.JWKS_AGE: ("s", "Age of the published keys that tokens are verified with."),
}
OF_CONSUMERS: Final[Gauges] = {
    semconv.PENDING: ("{message}", "Events that a durable consumer has not received yet."),
    semconv.UNACKNOWLEDGED: ("{message}", "Events that are processed, or wait to be repeated."),
    semconv.REDELIVERED: ("{message}", "Those of them that were delivered more than once."),
    semconv.LAG: ("s", "Age of the oldest event that is not processed, 0 if all are."),
    semconv.PAUSED: ("1", "1 while a circuit breaker or an operator pauses the consumer, else 0."),
}


class Observed(Protocol):
    """A running service or consumer."""

    def gauges(self) -> Mapping[str, float]:
        """Return the current values, by the names of gauges; empty once it has stopped."""
        ...


_Values = WeakKeyDictionary[Observed, Attributes]
_OF_THE_APPLICATION: Final[_Values] = WeakKeyDictionary()
"""What uses the application's provider, which has one gauge of each name."""
_OF_MANAGERS: Final[WeakKeyDictionary[TelemetryManager, _Values]] = WeakKeyDictionary()
"""What uses the provider of a service, which has one gauge of each name as well."""


def observe(
    observed: Observed, manager: TelemetryManager, gauges: Gauges, attributes: Attributes
) -> None:
    """Add a service or a consumer to the gauges, without keeping it alive.

    Args:
        observed: the service or the consumer.
        manager: creates the gauges.
        gauges: its gauges.
        attributes: the attributes of their values.
    """
    found = _OF_THE_APPLICATION
    if not manager.is_shared:
        found = _OF_MANAGERS.setdefault(manager, WeakKeyDictionary())
    found[observed] = attributes
    for name, (unit, description) in gauges.items():
        manager.meter.create_observable_gauge(
            name, [partial(_read, name, found)], unit, description
        )


def _read(name: str, found: Mapping[Observed, Attributes], _: CallbackOptions) -> list[Observation]:
    return [
        Observation(values[name], attributes)
        for observed, attributes in tuple(found.items())
        if name in (values := observed.gauges())
    ]

"""Telemetry of clients: exported by the service of the process that they belong to.

A service with an `exporter_url` has OpenTelemetry providers of its own. The spans and metrics of
the clients that its handlers use belong to it, and so do those of subscriptions.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, ParamSpec
from weakref import WeakKeyDictionary, proxy

from typing_extensions import override

from weenats.telemetry.manager import TelemetryManager

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind
    from opentelemetry.util.types import AttributeValue

    from weenats.telemetry.manager import Attributes, Count, RecordDuration
    from weenats.telemetry.settings import TelemetrySettings

__all__ = ["OF_SERVICE", "DelegatingTelemetry", "add_exporting", "remove_exporting"]
ArgumentsT = ParamSpec("ArgumentsT")
_NO_ATTRIBUTES: Final[Mapping[str, AttributeValue]] = {}

OF_SERVICE: Final[ContextVar[TelemetryManager | None]] = ContextVar(
    "weenats_telemetry_of_service", default=None
)
"""The telemetry of the service whose request the running task serves."""
_exporting: Final[dict[TelemetryManager, str]] = {}


def add_exporting(manager: TelemetryManager, service: str) -> None:
    """Add the telemetry of a running instance that exports with providers of its own.

    Args:
        manager: the telemetry.
        service: the name of the service.
    """
    _exporting[manager] = service


def remove_exporting(manager: TelemetryManager) -> None:
    """Remove the telemetry of an instance that stops.

    Args:
        manager: the telemetry.
    """
    _exporting.pop(manager, None)


class DelegatingTelemetry(TelemetryManager):
    """The telemetry of a client.

    While a service handles a request, its telemetry decides where spans and metrics go. Otherwise
    they go to the application's providers; if it has none, to the only service of the process that
    exports.

    Args:
        settings: the settings of the client, which hold wherever the data goes.
    """

    def __init__(self, settings: TelemetrySettings) -> None:
        super().__init__(settings)
        self._derived: WeakKeyDictionary[TelemetryManager, TelemetryManager] = WeakKeyDictionary()

    @property
    @override
    def traces(self) -> bool:
        # `delegate` is asked for only while services export: each call comes here.
        return (bool(_exporting) and self.delegate is not None) or super().traces

    @property
    def delegate(self) -> TelemetryManager | None:
        """The telemetry to record with now, None for the providers of the application."""
        if not _exporting:
            return None
        service = OF_SERVICE.get()
        if service is None and not super().traces:
            service = _only_exporting()
        if service not in _exporting:
            return None
        if service not in self._derived:
            self._derived[service] = service.with_settings(self.settings)
        return self._derived[service]

    @contextmanager
    @override
    def with_span(
        self, name: str, attributes: Mapping[str, AttributeValue] = _NO_ATTRIBUTES
    ) -> Generator[Span]:
        delegate = self.delegate
        own = super().with_span if delegate is None else delegate.with_span
        with own(name, attributes) as span:
            yield span

    @override
    def record(
        self,
        name: str,
        span_kind: SpanKind,
        attributes: Attributes,
        parent: Context,
        start_time: int | None = None,
    ) -> Span:
        delegate = self.delegate if _exporting else None
        if delegate is None:
            return super().record(name, span_kind, attributes, parent, start_time)
        return delegate.record(name, span_kind, attributes, parent, start_time)

    @override
    def durations(self, name: str, description: str) -> RecordDuration:
        own = super().durations(name, description)
        return _delegating(proxy(self), own, lambda to: to.durations(name, description))

    @override
    def counter(self, name: str, unit: str, description: str) -> Count:
        own = super().counter(name, unit, description)
        return _delegating(proxy(self), own, lambda to: to.counter(name, unit, description))


def _delegating(
    telemetry: DelegatingTelemetry,
    own: Callable[ArgumentsT, None],
    make: Callable[[TelemetryManager], Callable[ArgumentsT, None]],
) -> Callable[ArgumentsT, None]:
    """Return what records with the instrument of the application, or with that of a service."""
    made: WeakKeyDictionary[TelemetryManager, Callable[ArgumentsT, None]] = WeakKeyDictionary()

    def record(*args: ArgumentsT.args, **kwargs: ArgumentsT.kwargs) -> None:
        delegate = telemetry.delegate if _exporting else None
        if delegate is None:
            own(*args, **kwargs)
            return
        if delegate not in made:
            made[delegate] = make(delegate)
        made[delegate](*args, **kwargs)

    return record


def _only_exporting() -> TelemetryManager | None:
    """Return the telemetry of the only service that exports, of any of its instances."""
    names = set(_exporting.values())
    return next(iter(_exporting)) if len(names) == 1 else None

"""Providers of a service's own, which export over OTLP/HTTP: the only file that knows the SDK."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from importlib.util import find_spec
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics import MeterProvider  # noqa: TID251 - types of what is made below
    from opentelemetry.sdk.trace import TracerProvider  # noqa: TID251 - same

    from weenats.contract import ServiceContract
    from weenats.telemetry.settings import TelemetrySettings

_LOG: Final = logging.getLogger("weenats.telemetry")
_EXPORT_TIMEOUT: Final = 5
_SHUT_DOWN_TIMEOUT: Final = 5


@dataclass(frozen=True, slots=True)
class Providers:
    """Where the spans and metrics of one instance go."""

    tracer: TracerProvider
    meter: MeterProvider

    async def shut_down(self) -> None:
        """Export what is left, in five seconds at most, and end the exporting threads."""
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        # In threads of their own: the SDK tries for up to half a minute when its receiver is down.
        ends: tuple[Callable[[], None], ...] = (self.tracer.shutdown, self.meter.shutdown)
        threads = [Thread(target=_run, args=(end,), daemon=True) for end in ends]
        for thread in threads:
            thread.start()
        deadline = monotonic() + _SHUT_DOWN_TIMEOUT
        for thread in threads:
            thread.join(max(deadline - monotonic(), 0))
        if any(thread.is_alive() for thread in threads):
            _LOG.warning("telemetry was not exported whole: its receiver does not answer")


def _run(end: Callable[[], None]) -> None:
    try:
        end()
    except Exception as error:  # noqa: BLE001 - a receiver that is down keeps no service from stopping
        _LOG.warning("telemetry was not exported whole: %s", type(error).__name__)


def check_installed() -> None:
    """Say at once what is missing.

    Raises:
        ImportError: the SDK or its OTLP exporter is not installed.
    """
    try:
        found = find_spec("opentelemetry.sdk") and find_spec(
            "opentelemetry.exporter.otlp.proto.http"
        )
    except ModuleNotFoundError:
        found = None
    if not found:
        raise ImportError("exporter_url needs the OpenTelemetry SDK: pip install 'weenats[otel]'")


def export_to(
    url: str, contract: ServiceContract, instance_id: str, settings: TelemetrySettings
) -> Providers:
    """Return providers that export over OTLP/HTTP; each instance is a resource of its own."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - an extra
        OTLPMetricExporter,
    )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - same
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415, TID251 - same
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415, TID251 - same
        PeriodicExportingMetricReader,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415, TID251 - same
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415, TID251 - same
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415, TID251 - same

    base = url.rstrip("/")
    resource = Resource.create(
        {
            "service.name": contract.name,
            "service.version": contract.version,
            "service.instance.id": instance_id,
            "deployment.environment.name": settings.environment,
        }
    )
    tracer = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{base}/v1/traces", timeout=_EXPORT_TIMEOUT)
    tracer.add_span_processor(BatchSpanProcessor(exporter))
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(f"{base}/v1/metrics", timeout=_EXPORT_TIMEOUT)
    )
    return Providers(tracer, MeterProvider([reader], resource, shutdown_on_exit=False))

"""OpenTelemetry providers of one service instance that export over OTLP/HTTP."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Final

from weenats._internal.extras import check_installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics import MeterProvider  # noqa: TID251 - types of what is made below
    from opentelemetry.sdk.trace import TracerProvider  # noqa: TID251 - same

    from weenats.contract import ServiceContract
    from weenats.telemetry.settings import TelemetrySettings

__all__ = ["Providers", "check_exporter", "export_to"]
_LOG: Final = logging.getLogger("weenats.telemetry")
_EXPORT_TIMEOUT: Final = 5
_SHUT_DOWN_TIMEOUT: Final = 5


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers that take the spans and metrics of one instance."""

    tracer: TracerProvider
    meter: MeterProvider

    async def shut_down(self) -> None:
        """Export what is pending, for at most five seconds, and end the exporting threads."""
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        # In own threads: the SDK retries for up to half a minute when the receiver is down.
        ends: tuple[Callable[[], None], ...] = (self.tracer.shutdown, self.meter.shutdown)
        threads = [Thread(target=_run, args=(end,), daemon=True) for end in ends]
        for thread in threads:
            thread.start()
        deadline = monotonic() + _SHUT_DOWN_TIMEOUT
        for thread in threads:
            thread.join(max(deadline - monotonic(), 0))
        if any(thread.is_alive() for thread in threads):
            _LOG.warning("telemetry was not exported completely: the receiver does not answer")


def _run(end: Callable[[], None]) -> None:
    try:
        end()
    except Exception as error:  # noqa: BLE001 - a receiver that is down must not affect the stop
        _LOG.warning("telemetry was not exported completely: %s", type(error).__name__)


def check_exporter() -> None:
    """Check that the OpenTelemetry SDK and its OTLP exporter are installed.

    Raises:
        ImportError: they are not.
    """
    check_installed(
        "exporter_url needs the OpenTelemetry SDK: pip install 'weenats[otel]'",
        "opentelemetry.sdk",
        "opentelemetry.exporter.otlp.proto.http",
    )


def export_to(
    url: str, contract: ServiceContract, instance_id: str, settings: TelemetrySettings
) -> Providers:
    """Return providers that export over OTLP/HTTP, with the instance as their resource.

    Args:
        url: the base URL of the receiver.
        contract: the contract of the service.
        instance_id: the id of the instance.
        settings: the telemetry settings of the service.
    """
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

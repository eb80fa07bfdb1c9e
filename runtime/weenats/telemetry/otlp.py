"""Telemetry of a service instance with OpenTelemetry providers that export over OTLP/HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from typing_extensions import override

from weenats._internal.threads import run_in_thread
from weenats.protocol.headers import TOKEN
from weenats.telemetry.delegating import add_exporting, remove_exporting
from weenats.telemetry.manager import TelemetryManager, check_providers

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.util.types import AttributeValue

    from weenats.contract import ServiceContract
    from weenats.telemetry.settings import TelemetrySettings

__all__ = ["ExportingTelemetry"]
_LOG: Final = logging.getLogger("weenats.telemetry")
_EXPORT_TIMEOUT: Final = 5
_SHUT_DOWN_TIMEOUT: Final = 5
_HEADERS: Final = tuple(f"OTEL_EXPORTER_OTLP_{part}HEADERS" for part in ("", "TRACES_", "METRICS_"))
_HEADER: Final = re.compile(
    rf"\s*(?:{TOKEN.pattern}[ \t]*=[\x20\x21\x23-\x3a\x3c-\x5b\x5d-\x7e]*)?\s*"
)


class ExportingTelemetry(TelemetryManager):
    """Exports the spans and metrics of one instance, which is their resource.

    Args:
        url: the base URL of the receiver.
        settings: the settings of telemetry.
        contract: the contract of the service.
        instance_id: the id of the instance.

    Raises:
        ValueError: the SDK does not accept an environment variable `OTEL_*`; its text does not
            always name it.
    """

    def __init__(
        self, url: str, settings: TelemetrySettings, contract: ServiceContract, instance_id: str
    ) -> None:
        resource = Resource.create(
            {
                "service.name": contract.name,
                "service.version": contract.version,
                "service.instance.id": instance_id,
                **_from_environment(),
                "deployment.environment.name": settings.environment,
            }
        )
        self._tracers, self._meters = _providers(url.rstrip("/"), resource)
        super().__init__(settings, tracer_provider=self._tracers, meter_provider=self._meters)
        add_exporting(self, contract.name)

    @override
    async def shut_down(self, timeout: float) -> None:
        remove_exporting(self)
        # In threads, because the SDK retries for up to 30 seconds when the receiver is down.
        ending = [
            run_in_thread(partial(_run, end), "weenats telemetry")
            for end in (self._tracers.shutdown, self._meters.shutdown)
        ]
        _, late = await asyncio.wait(ending, timeout=min(timeout, _SHUT_DOWN_TIMEOUT))
        if late:
            _LOG.warning("telemetry was not exported completely: the receiver does not answer")


def _check_headers() -> None:
    """Refuse headers for the receiver that the SDK would log with their values.

    It leaves out what is malformed, and cannot send a line break.

    Raises:
        ValueError: a variable is malformed.
    """
    for name in _HEADERS:
        parts = os.environ.get(name, "").split(",")
        if not all(map(_HEADER.fullmatch, parts)):
            raise ValueError(f"{name} is not a list of name=value, separated by commas")
        if any(not {"\r", "\n"}.isdisjoint(unquote(part).strip()) for part in parts):
            raise ValueError(f"{name} has a line break in a value")


def _providers(base: str, resource: Resource) -> tuple[TracerProvider, MeterProvider]:
    """Return providers that export; if they cannot be created, none of their threads stays."""
    check_providers()
    _check_headers()
    MeterProvider(shutdown_on_exit=False)  # fails before a reader has a thread
    spans = OTLPSpanExporter(f"{base}/v1/traces", timeout=_EXPORT_TIMEOUT)
    metrics = OTLPMetricExporter(f"{base}/v1/metrics", timeout=_EXPORT_TIMEOUT)
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    with ExitStack() as on_failure:
        on_failure.callback(tracers.shutdown)
        tracers.add_span_processor(BatchSpanProcessor(spans))
        reader = PeriodicExportingMetricReader(metrics)
        meters = MeterProvider([reader], resource, shutdown_on_exit=False)
        on_failure.pop_all()
    return tracers, meters


def _from_environment() -> dict[str, AttributeValue]:
    """Return OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, which win over our defaults."""
    attributes = OTELResourceDetector().detect().attributes
    return {name: value for name, value in attributes.items() if value}


def _run(end: Callable[[], None]) -> None:
    try:
        end()
    except Exception as error:  # noqa: BLE001 - a receiver that is down must not affect the shutdown
        _LOG.warning("telemetry was not exported completely: %s", type(error).__name__)

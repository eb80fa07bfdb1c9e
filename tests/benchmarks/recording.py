"""The SDK of OpenTelemetry, set up alike for every contender that records spans."""

from collections.abc import Sequence

from opentelemetry import metrics, trace
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.util.types import AttributeValue


class Nowhere(SpanExporter):
    """Takes spans and does nothing with them: exporting costs every contender the same."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take them."""
        return SpanExportResult.SUCCESS


class NoMetrics(MetricExporter):
    """Takes metrics and does nothing with them."""

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: object
    ) -> MetricExportResult:
        """Take them."""
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is pending."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: object) -> None:
        """Nothing is open."""


def record(*, share: float = 1) -> None:
    """Record metrics, and this share of the traces that begin here.

    The first call of a process decides.
    """
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(share)))
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(NoMetrics())]))


def durations(name: str) -> Histogram:
    """The durations of calls by hand."""
    buckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
    return metrics.get_meter("by-hand").create_histogram(
        name, "s", explicit_bucket_boundaries_advisory=buckets
    )


def attributes(subject: str, kind: str, size: int) -> dict[str, AttributeValue]:
    """The attributes of a span by hand: as many as ours has."""
    return {
        "rpc.system.name": "nats",
        "rpc.method": "orders/create-order",
        "rpc.response.status_code": "OK",
        "messaging.system": "nats",
        "messaging.operation.name": kind,
        "messaging.operation.type": kind,
        "messaging.destination.name": subject,
        "messaging.consumer.group.name": "bench",
        "messaging.message.id": "01JX0000000000000000000000",
        "messaging.message.conversation_id": "01JX0000000000000000000000",
        "messaging.message.body.size": size,
    }

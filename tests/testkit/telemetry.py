"""What the OpenTelemetry SDK recorded, for one test; and a probe that records."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import _internal as metrics_internals
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from opentelemetry.util._once import Once

from testkit.probe import Probe, ProbeClient
from testkit.tokens import FakeValidator, good_claims, token
from weenats import NatsService, NatsServiceBuilder, TelemetrySettings

EVERYTHING: Final = {"commands": 1.0, "queries": 1.0, "events": 1.0}
NOTHING: Final = {"commands": 0.0, "queries": 0.0, "events": 0.0}
RESOURCE: Final = Resource.create()
"""Takes a millisecond and a thread to find out."""


class Beginnings(SpanProcessor):
    """Counts the spans that began."""

    def __init__(self) -> None:
        self.count = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Count one."""
        self.count += 1


class Recording:
    """The spans and metrics of one test.

    Args:
        counts: whether spans are counted when they begin. Then the SDK makes them; else they are
            put together at their end, see weenats.telemetry.late_span.
    """

    def __init__(self, *, counts: bool = True) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False, resource=RESOURCE)
        self.beginnings = Beginnings()
        self.counts = counts
        if counts:
            self.tracer_provider.add_span_processor(self.beginnings)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meter_provider = MeterProvider(
            [self.reader], resource=RESOURCE, shutdown_on_exit=False
        )

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """The spans that ended, in this order."""
        return self.exporter.get_finished_spans()

    @property
    def unended(self) -> int:
        """How many spans began and did not end, as far as they are counted."""
        return self.beginnings.count - len(self.spans) if self.counts else 0

    def of(self, kind: SpanKind) -> list[ReadableSpan]:
        """Return the spans of a kind."""
        return [span for span in self.spans if span.kind is kind]

    def one(self, kind: SpanKind) -> ReadableSpan:
        """Return the only span of a kind."""
        (span,) = self.of(kind)
        return span

    def named(self, name: str) -> ReadableSpan:
        """Return the only span of a name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics by name."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str) -> list[Any]:
        """Return the data points of a metric, none when nobody recorded it."""
        metric = self.metrics.get(name)
        return [] if metric is None else list(metric.data.data_points)

    def text(self) -> str:
        """Return all that is told, as an exporter would have it."""
        data = self.reader.get_metrics_data()
        told = [span.to_json() for span in self.spans]
        return "\n".join([*told, "" if data is None else data.to_json()])


@contextmanager
def recording(*, counts: bool = True) -> Iterator[Recording]:
    """Let the process record; the application's providers are gone afterwards."""
    observed = Recording(counts=counts)
    trace.set_tracer_provider(observed.tracer_provider)
    metrics.set_meter_provider(observed.meter_provider)
    try:
        yield observed
    finally:
        trace._TRACER_PROVIDER = None
        trace._TRACER_PROVIDER_SET_ONCE = Once()
        metrics_internals._METER_PROVIDER = None
        metrics_internals._METER_PROVIDER_SET_ONCE = Once()
        metrics_internals._PROXY_METER_PROVIDER = metrics_internals._ProxyMeterProvider()
        observed.tracer_provider.shutdown()
        observed.meter_provider.shutdown()


@asynccontextmanager
async def serving(
    url: str, handlers: Probe, *, auth: FakeValidator | None = None, **telemetry: Any
) -> AsyncIterator[NatsService]:
    """Serve a probe that records, everything if not told otherwise."""
    builder = NatsServiceBuilder(handlers, url).with_queue_group("workers", max_concurrency=2)
    if auth is not None:
        builder = builder.with_auth(validator=auth)
    settings = {"sampling": EVERYTHING, **telemetry}
    async with builder.with_telemetry(**settings).build() as service:
        yield service


@asynccontextmanager
async def calling(url: str, **telemetry: Any) -> AsyncIterator[ProbeClient]:
    """Return a client that records, everything if not told otherwise."""
    settings = TelemetrySettings(**{"sampling": EVERYTHING, **telemetry})
    async with ProbeClient.connect(url, verify="off") as client:
        yield client.with_telemetry(settings)


def probe_validator() -> FakeValidator:
    """Return what judges the probe's tokens."""
    return FakeValidator(audience="probe")


def probe_token(name: str = "ada", **claims: Any) -> str:
    """Return a good token for the probe."""
    return token(good_claims(aud="probe", sub=name, **claims))

"""The one place for telemetry: what starts spans, carries them on and counts what came of them."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from random import random
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel
from opentelemetry import metrics, trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracerProvider,
    ProxyTracerProvider,
    Span,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TracerProvider,
    get_current_span,
)

from weenats.context import CURRENT
from weenats.telemetry import propagation, semconv
from weenats.telemetry.propagation import DeferredSpan, extract_trace_context, unsampled_root
from weenats.telemetry.settings import TelemetrySettings, shown_principal

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.util.types import AttributeValue

    from weenats.context import MessageContext
    from weenats.errors import ServiceError
    from weenats.protocol.subjects import Kind
    from weenats.telemetry.late_span import LateTracer

Attributes = dict[str, "AttributeValue"]
_SCOPE: Final = "weenats"
_NO_ATTRIBUTES: Final[Mapping[str, AttributeValue]] = {}


class TelemetryManager:
    """Spans, propagation and metrics of one client or one instance of a service.

    It needs the API of OpenTelemetry alone. While the application has no provider, it does nothing.

    Args:
        settings: what is collected.
        tracer_provider: whose spans; the application's when none is given.
        meter_provider: whose metrics; the application's when none is given.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self.settings = settings
        self.is_shared = meter_provider is None
        self._own_provider = tracer_provider
        self._looked = False
        self._late: LateTracer | None = None
        self._tracer = trace.get_tracer(
            _SCOPE, _version(), tracer_provider, schema_url=semconv.SCHEMA_URL
        )
        self.meter = metrics.get_meter(
            _SCOPE, _version(), meter_provider, schema_url=semconv.SCHEMA_URL
        )

    @property
    def traces(self) -> bool:
        """Say whether there is anybody to give spans to."""
        # Not isinstance: of an abstract class that is a search, and this is asked for each call.
        return (
            self._own_provider is not None
            or type(trace.get_tracer_provider()) is not ProxyTracerProvider
        )

    @staticmethod
    def extract_trace_context(headers: Mapping[str, str]) -> Context:
        """Return the trace context that came with a message; see propagation."""
        return propagation.extract_trace_context(headers)

    @staticmethod
    def create_trace_headers(context: Context | None = None) -> dict[str, str]:
        """Return the headers that carry the current trace, or that of a context, on."""
        return propagation.create_trace_headers(context)

    def start_request_span(
        self, name: str, kind: Kind, attributes: Attributes, parent: Context | None = None
    ) -> Span:
        """Start the CLIENT span of a call, below the current span when no parent is given."""
        parent = parent or otel.get_current()
        return self._start(name, SpanKind.CLIENT, kind, attributes, parent)

    def start_message_span(
        self, name: str, kind: Kind, attributes: Attributes, parent: Context
    ) -> Span:
        """Start the SERVER span of a message, below the trace context that came with it."""
        return self._start(name, SpanKind.SERVER, kind, attributes, parent)

    @contextmanager
    def with_span(
        self, name: str, attributes: Mapping[str, AttributeValue] = _NO_ATTRIBUTES
    ) -> Generator[Span]:
        """Work within a span of its own, below the current one, which is current meanwhile.

        An exception marks it as failed by its class; what it says may be secret and is not told.
        """
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except Exception as error:
                span.set_attribute(semconv.ERROR_TYPE, type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    def add_correlation_attributes(self, span: Span, context: MessageContext) -> None:
        """Put the ids of a message onto a span."""
        if span.is_recording():
            span.set_attributes(self.correlation(context))

    def correlation(self, context: MessageContext) -> Attributes:
        """Return the ids of a message as attributes, as many as are to be collected."""
        level = self.settings.attributes
        if level == "minimal":
            return {}
        attributes: Attributes = {
            semconv.MESSAGE_ID: context.message_id,
            semconv.CONVERSATION_ID: context.correlation_id,
        }
        if level == "full":
            attributes[semconv.OWN_MESSAGE_ID] = context.message_id
            attributes[semconv.OWN_CORRELATION_ID] = context.correlation_id
            if context.causation_id is not None:
                attributes[semconv.OWN_CAUSATION_ID] = context.causation_id
        return attributes

    def principal(self, identity: str) -> str | None:
        """Return a principal's id as it may be shown, None when it may not."""
        return shown_principal(identity, self.settings.principal)

    def histogram(self, name: str, description: str) -> Histogram:
        """Return an instrument for durations in seconds, with the buckets of the conventions."""
        return self.meter.create_histogram(
            name,
            unit="s",
            description=description,
            explicit_bucket_boundaries_advisory=semconv.BUCKETS,
        )

    def unsampled(self, parent: Context, kind: Kind) -> Span | None:
        """Return what stands for a span that is not recorded; None when it is to be recorded.

        What the parent decided holds; where there is none, the share of this kind of message.
        """
        span = get_current_span(parent)
        if isinstance(span, DeferredSpan):
            return None if span.is_sampled else span
        above = span.get_span_context()
        if above.is_valid:
            return None if above.trace_flags & TraceFlags.SAMPLED else NonRecordingSpan(above)
        if random() < self.settings.share(kind):  # noqa: S311 - a share, no secret
            return None
        return unsampled_root()

    def record(
        self,
        name: str,
        span_kind: SpanKind,
        attributes: Attributes,
        parent: Context,
        start_time: int | None = None,
    ) -> Span:
        """Start a span that `unsampled` decided to record; it began at `start_time`, epoch ns."""
        late = self._late or self._late_tracer()
        if late is not None and late.fits:
            return late.start_span(name, parent, span_kind, attributes, start_time)
        return self._tracer.start_span(
            name, parent, span_kind, attributes, start_time=start_time, record_exception=False
        )

    def _start(
        self, name: str, span_kind: SpanKind, kind: Kind, attributes: Attributes, parent: Context
    ) -> Span:
        unsampled = self.unsampled(parent, kind)
        if unsampled is not None:
            return unsampled
        return self.record(name, span_kind, attributes, parent)

    def _late_tracer(self) -> LateTracer | None:
        """Find out, once there is a provider, whether our own spans will do."""
        provider = self._own_provider or trace.get_tracer_provider()
        if not self._looked:
            self._looked = True
            self._late = late_tracer(provider)
        return self._late


def current_parent() -> Context:
    """Return the context that what is sent now belongs to."""
    current = otel.get_current()
    served = CURRENT.get()
    if (
        served is not None
        and served.otel_context is None
        and not get_current_span(current).get_span_context().is_valid
    ):
        # Served without telemetry of its own: the trace that came goes on.
        return extract_trace_context(served.headers)
    return current


def fail(span: Span, error: ServiceError) -> None:
    """Mark a span as failed, with no text that anybody but us has written."""
    span.set_status(Status(StatusCode.ERROR, error.label))


def late_tracer(provider: TracerProvider) -> LateTracer | None:
    """Return what starts spans of ours for a provider; None when it is none of the SDK."""
    if not type(provider).__module__.startswith("opentelemetry.sdk."):
        return None
    from weenats.telemetry.late_span import LateTracer  # noqa: PLC0415 - there is an SDK

    tracer = provider.get_tracer(_SCOPE, _version(), schema_url=semconv.SCHEMA_URL)
    return LateTracer.of(provider, tracer)


def _version() -> str:
    try:
        return version("weenats")
    except PackageNotFoundError:
        return ""


SILENT: Final = TelemetryManager(
    TelemetrySettings(), tracer_provider=NoOpTracerProvider(), meter_provider=NoOpMeterProvider()
)
"""What records nothing, whatever the application has: the manager of those without telemetry."""

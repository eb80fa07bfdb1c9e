"""The telemetry manager: starts spans, propagates trace context, makes instruments of metrics."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from random import random
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import (
    INVALID_SPAN,
    NoOpTracerProvider,
    ProxyTracerProvider,
    Span,
    SpanKind,
    StatusCode,
    TraceFlags,
    TracerProvider,
)
from typing_extensions import override

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task
from weenats.context import CURRENT
from weenats.errors import InvalidArgumentError
from weenats.telemetry import semconv
from weenats.telemetry.durations import Durations
from weenats.telemetry.propagation import (
    DeferredSpan,
    create_trace_headers,
    extract_trace_context,
    span_of,
    unsampled_child,
    unsampled_root,
)
from weenats.telemetry.settings import TelemetrySettings

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.util.types import AttributeValue

    from weenats.context import MessageContext
    from weenats.protocol.subjects import Kind
    from weenats.telemetry.late_span import LateTracer

__all__ = [
    "SILENT",
    "Attributes",
    "Count",
    "RecordDuration",
    "TelemetryManager",
    "check_providers",
    "current_parent",
]
_LOG: Final = LimitedLogger("weenats.telemetry")
Attributes = dict[str, "AttributeValue"]
RecordDuration = Callable[[float, Attributes, "Context | None"], None]
"""Records a duration: see `Durations.record`."""
Count = Callable[[float, Attributes], None]
"""Adds an amount with its attributes to a counter."""
_SCOPE: Final = "weenats"
_NO_ATTRIBUTES: Final[Mapping[str, AttributeValue]] = {}


@contextmanager
def _named_by(variable: str) -> Generator[None]:
    """Say which variable is wrong when the provider that it names cannot be loaded.

    Raises:
        InvalidArgumentError: it cannot.
    """
    try:
        yield
    except Exception as error:  # whatever the provider raises, StopIteration if there is none
        name = os.environ.get(variable)
        if name is None:
            raise
        why = "is not installed" if isinstance(error, StopIteration) else f"failed: {error!r}"
        raise InvalidArgumentError(
            f"{variable} names the provider {name!r} of OpenTelemetry, which {why}; unset it, or"
            " use another one"
        ) from None


def check_providers() -> None:
    """Check that the providers that the environment names can be loaded: exporters use them too.

    Raises:
        InvalidArgumentError: one cannot.
    """
    from opentelemetry import metrics  # noqa: PLC0415 - most clients have no metrics

    with _named_by("OTEL_PYTHON_TRACER_PROVIDER"):
        trace.get_tracer_provider()
    with _named_by("OTEL_PYTHON_METER_PROVIDER"):
        metrics.get_meter_provider()


class TelemetryManager:
    """Spans, propagation and metrics of one client or one instance of a service.

    It needs the API of OpenTelemetry only, and does nothing while the application has no provider.

    Args:
        settings: the settings of telemetry.
        tracer_provider: where spans go; the application's provider if not set.
        meter_provider: where metrics go; the application's provider if not set.

    Raises:
        InvalidArgumentError: a variable of OpenTelemetry names a provider that cannot be loaded.

    Attributes:
        settings: the settings of telemetry.
        is_shared: whether metrics go to the application's provider.

    Example:
        In a handler:

        ```python
        with self.telemetry.with_span("charge card", {"items": len(command.items)}):
            await charge(command)
        ```
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
        self._traces = tracer_provider is not None
        self._own_meters = meter_provider
        with _named_by("OTEL_PYTHON_TRACER_PROVIDER"):
            self._tracer = trace.get_tracer(
                _SCOPE, _version(), tracer_provider, schema_url=semconv.SCHEMA_URL
            )

    @cached_property
    def meter(self) -> Meter:
        """What makes the instruments of metrics."""
        from opentelemetry import metrics  # noqa: PLC0415 - most clients have no metrics

        with _named_by("OTEL_PYTHON_METER_PROVIDER"):
            return metrics.get_meter(
                _SCOPE, _version(), self._own_meters, schema_url=semconv.SCHEMA_URL
            )

    @property
    def traces(self) -> bool:
        """Whether there is a provider of spans."""
        # Not isinstance, which is slow for an abstract class: this is called for each request.
        if not self._traces:  # the provider of the process can be set once, at any time
            self._traces = type(trace.get_tracer_provider()) is not ProxyTracerProvider
        return self._traces

    extract_trace_context = staticmethod(extract_trace_context)
    """Returns the trace that headers carry, as a context of OpenTelemetry."""
    create_trace_headers = staticmethod(create_trace_headers)
    """Returns the headers that carry the current trace."""

    @contextmanager
    def with_span(
        self, name: str, attributes: Mapping[str, AttributeValue] = _NO_ATTRIBUTES
    ) -> Generator[Span]:
        """Run the body of the `with` in a new span, a child of the current one.

        An exception marks the span as failed with the name of its class; its message is not
        recorded, as it may hold secrets.

        Args:
            name: the name of the span.
            attributes: the attributes of the span.

        Returns:
            A context manager whose value is the span.
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

    def correlation(self, context: MessageContext) -> Attributes:
        """Return the ids of a message as attributes, according to the level of attributes.

        Args:
            context: the context of the message.
        """
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

    def with_settings(self, settings: TelemetrySettings) -> TelemetryManager:
        """Return a manager with the same providers and other settings.

        Args:
            settings: the other settings.
        """
        return TelemetryManager(
            settings, tracer_provider=self._own_provider, meter_provider=self._own_meters
        )

    async def shut_down(self, timeout: float) -> None:
        """Export pending data of providers of a service's own.

        Args:
            timeout: the time limit in seconds, at most 5.
        """

    def durations(self, name: str, description: str) -> RecordDuration:
        """Return what records durations.

        Args:
            name: the name of the metric.
            description: its description.
        """
        return Durations(self.meter, name, description).record

    def counter(self, name: str, unit: str, description: str) -> Count:
        """Return what adds to a counter.

        Args:
            name: the name of the metric.
            unit: its unit.
            description: its description.
        """
        return self.meter.create_counter(name, unit, description).add

    def unsampled(self, parent: Context, kind: Kind) -> DeferredSpan | None:
        """Decide whether to record a span: as its parent, else by the share of its kind of message.

        Args:
            parent: the context of the parent span.
            kind: the kind of message.

        Returns:
            None when the span is to be recorded, else the span to use in its place.
        """
        span = span_of(parent)
        if type(span) is DeferredSpan:
            return None if span.is_sampled else unsampled_child(span)
        if span is not INVALID_SPAN and (above := span.get_span_context()).is_valid:
            return None if above.trace_flags & TraceFlags.SAMPLED else unsampled_child(span)
        if random() < self.settings.share(kind):  # noqa: S311 - not a secret
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
        """Start a span that `unsampled` decided to record.

        Args:
            name: the name of the span.
            span_kind: its kind.
            attributes: its attributes; the span owns the dictionary from now on.
            parent: the context of its parent.
            start_time: when it started, nanoseconds since the epoch; now if not set.
        """
        late = self._late
        try:
            if late is not None and late.fits:
                return late.start_span(name, parent, span_kind, attributes, start_time)
            return self._tracer.start_span(
                name, parent, span_kind, attributes, start_time=start_time, record_exception=False
            )
        except BaseException as raised:  # a sampler or processor of the application
            if ends_task(raised):
                raise
            _LOG.exception("a span was not recorded: its sampler or processor failed")
            return unsampled_root()

    @cached_property
    def _late(self) -> LateTracer | None:
        """Return the tracer of late spans, None when the provider does not support them."""
        provider = self._own_provider or trace.get_tracer_provider()
        if not type(provider).__module__.startswith("opentelemetry.sdk."):
            return None
        from weenats.telemetry.late_span import LateTracer  # noqa: PLC0415 - needs the SDK

        tracer = provider.get_tracer(_SCOPE, _version(), schema_url=semconv.SCHEMA_URL)
        return LateTracer.of(provider, tracer)


def current_parent() -> Context:
    """Return the trace context for a message that is sent now."""
    current = otel.get_current()
    served = CURRENT.get()
    if (
        served is not None
        and served.otel_context is None
        and not span_of(current).get_span_context().is_valid
    ):
        # The service has no telemetry of its own: the received trace is propagated.
        return extract_trace_context(served.headers)
    return current


@cache
def _version() -> str:
    try:
        return version("weenats")
    except PackageNotFoundError:
        return ""


class _Silent(TelemetryManager):
    """Records nothing."""

    def __init__(self, settings: TelemetrySettings) -> None:
        super().__init__(settings, tracer_provider=NoOpTracerProvider())
        self.is_shared = False

    @cached_property
    @override
    def meter(self) -> Meter:
        from opentelemetry.metrics import NoOpMeter  # noqa: PLC0415 - as above

        return NoOpMeter(_SCOPE)

    @override
    def with_settings(self, settings: TelemetrySettings) -> TelemetryManager:
        return _Silent(settings)


SILENT: Final = _Silent(TelemetrySettings())
"""The manager of services and clients without telemetry: records nothing."""

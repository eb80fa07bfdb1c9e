"""Durations that are handed over in batches give the same metrics as one after the other."""

from __future__ import annotations

import gc
from collections.abc import Callable
from threading import Thread
from typing import Any, Final

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.metrics import _internal as metrics_internals
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    Histogram,
    MeterProvider,
    SimpleFixedSizeExemplarReservoir,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from weenats.telemetry import durations, semconv
from weenats.telemetry.durations import Durations

NAME: Final = "rpc.server.call.duration"
OK: Final[dict[str, Any]] = {"rpc.method": "a/b", "rpc.response.status_code": "OK"}
FAILED: Final[dict[str, Any]] = {**OK, "error.type": "INTERNAL"}
VALUES: Final = [0.004, 0.3, 0.004, 12.5, 0.06, 0.0049, 0.3, 0.9]
VIEWS: Final[dict[str, list[View]]] = {
    "none": [],
    "other buckets": [
        View(instrument_name=NAME, aggregation=ExplicitBucketHistogramAggregation((0.1, 1)))
    ],
    "no min and max": [
        View(
            instrument_name=NAME,
            aggregation=ExplicitBucketHistogramAggregation((0.1, 1), record_min_max=False),
        )
    ],
    "fewer attributes": [View(instrument_name=NAME, attribute_keys={"rpc.method"})],
    "exponential": [
        View(instrument_name=NAME, aggregation=ExponentialBucketHistogramAggregation())
    ],
    "dropped": [View(instrument_name=NAME, aggregation=DropAggregation())],
    "two": [
        View(instrument_name=NAME, name="first"),
        View(instrument_name=NAME, name="second", attribute_keys=set()),
    ],
}


def in_trace(number: int, flags: int = TraceFlags.SAMPLED) -> Context:
    """Return the context of a span, which is sampled if the flags do not say otherwise."""
    ids = SpanContext(number, number, is_remote=False, trace_flags=TraceFlags(flags))
    return trace.set_span_in_context(NonRecordingSpan(ids), Context())


def shown(reader: InMemoryMetricReader) -> list[Any]:
    """Return what a reader collects, without times."""
    data = reader.get_metrics_data()
    metrics = [
        metric
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]
    return [
        (metric.name, sorted(map(_shown, metric.data.data_points), key=str)) for metric in metrics
    ]


def _shown(point: Any) -> dict[str, Any]:
    values = {
        name: value for name, value in vars(point).items() if "time" not in name and name != "sum"
    }
    values["exemplars"] = sorted((each.value, each.trace_id) for each in point.exemplars)
    return {**values, "sum": round(point.sum, 9)}


def provider_with(*readers: InMemoryMetricReader, **options: Any) -> MeterProvider:
    """Return a provider that ends with the test."""
    return MeterProvider(readers, shutdown_on_exit=False, **options)


def one_by_one(provider: MeterProvider) -> Callable[..., None]:
    """Return what records as a user of the SDK does."""
    histogram = provider.get_meter("m").create_histogram(
        NAME, "s", explicit_bucket_boundaries_advisory=semconv.BUCKETS
    )
    return histogram.record


@pytest.mark.parametrize("views", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("temporality", [1, 2])
@pytest.mark.parametrize("exemplars", [TraceBasedExemplarFilter(), AlwaysOffExemplarFilter()])
def test_batches_give_the_metrics_of_single_values(
    views: list[View], temporality: int, exemplars: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buckets, sums, extremes, attributes and exemplars, over several collections."""
    monkeypatch.setattr(durations, "_MAX_PENDING", 5)
    kind = {Histogram: AggregationTemporality(temporality)}
    readers = [InMemoryMetricReader(preferred_temporality=kind) for _ in range(3)]
    ours = provider_with(*readers[:2], views=views, exemplar_filter=exemplars)
    theirs = provider_with(readers[2], views=views, exemplar_filter=exemplars)
    record = Durations(ours.get_meter("m"), NAME, "").record
    record_one = one_by_one(theirs)
    for turn in range(3):
        for number, value in enumerate(VALUES, 1):
            attributes = FAILED if number % 3 == 0 else OK
            # Series that a view merges may get their exemplars from either of them.
            is_sampled = number % 2 and attributes is OK
            context = in_trace(number + 10 * turn) if is_sampled else None
            record(value, attributes, context)
            record_one(value, attributes, context)
        first, second, expected = map(shown, readers)
        assert first == second == expected
    assert shown(readers[0]) == shown(readers[2])


def test_other_reservoirs_and_filters_see_each_value() -> None:
    """A reservoir of the application, and a filter that is for all values, miss none."""
    view = View(
        instrument_name=NAME,
        exemplar_reservoir_factory=lambda _: lambda **_: SimpleFixedSizeExemplarReservoir(size=99),
    )
    reader = InMemoryMetricReader()
    record = Durations(provider_with(reader, views=[view]).get_meter("m"), NAME, "").record
    for number, value in enumerate(VALUES, 1):
        record(value, OK, in_trace(number))
    ((_, (point,)),) = shown(reader)
    assert {trace_id for _, trace_id in point["exemplars"]} == {*range(1, len(VALUES) + 1)}

    reader = InMemoryMetricReader()
    provider = provider_with(reader, exemplar_filter=AlwaysOnExemplarFilter())
    record = Durations(provider.get_meter("m"), NAME, "").record
    for value in VALUES:
        record(value, OK)
    ((_, (point,)),) = shown(reader)
    assert len(point["exemplars"]) == sum(count > 0 for count in point["bucket_counts"])


def test_exemplars_have_the_time_of_their_measurement() -> None:
    """Durations that are handed over later keep the time at which they were measured."""
    reader = InMemoryMetricReader()
    record = Durations(provider_with(reader).get_meter("m"), NAME, "").record
    with pytest.MonkeyPatch.context() as patch:
        for number in range(3):
            patch.setattr(durations, "time_ns", lambda number=number: number)
            record(0.3, OK, in_trace(7))
    data: Any = reader.get_metrics_data()
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert [each.time_unix_nano for each in point.exemplars] == [2]


def test_spans_that_a_sampler_dropped_hide_no_exemplar() -> None:
    """The exemplar of a bucket is the last value of a sampled trace, not of any."""
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    record = Durations(provider_with(readers[0]).get_meter("m"), NAME, "").record
    record_one = one_by_one(provider_with(readers[1]))
    for context in (*map(in_trace, (1, 2, 3)), in_trace(4, TraceFlags.DEFAULT)):
        record(0.3, OK, context)
        record_one(0.3, OK, context)
    ours, theirs = map(shown, readers)
    assert ours == theirs


def test_values_outlive_the_client_that_recorded_them() -> None:
    """They are collected after it has gone."""
    reader = InMemoryMetricReader()
    recorder = Durations(provider_with(reader).get_meter("m"), NAME, "")
    for value in VALUES:
        recorder.record(value, OK)
    del recorder
    gc.collect()
    ((_, (point,)),) = shown(reader)
    assert point["count"] == len(VALUES)


def test_threads_lose_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that record, and one that collects, at the same time."""
    monkeypatch.setattr(durations, "_MAX_PENDING", 7)
    reader = InMemoryMetricReader()
    record = Durations(provider_with(reader).get_meter("m"), NAME, "").record
    context = in_trace(1)

    def work() -> None:
        for _ in range(500):
            record(0.3, OK)
            record(0.3, OK, context)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        reader.get_metrics_data()
    ((_, (point,)),) = shown(reader)
    assert point["count"] == 4000


def test_few_contexts_are_kept() -> None:
    """Durations of sampled traces keep the contexts of their spans only until there are sixteen."""
    recorder = Durations(provider_with(InMemoryMetricReader()).get_meter("m"), NAME, "")
    contexts = [in_trace(number) for number in range(100)]
    for context in contexts:
        recorder.record(0.3, OK, context)
    (series,) = recorder._series.values()
    kept = {id(each.context) for each in series.sampled}
    assert 0 < len(kept) < 16


def test_provider_that_is_set_later_gets_later_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may get a few earlier ones too; another provider than the SDK's gets each value."""
    meter = metrics_internals._ProxyMeter("m")
    recorder = Durations(meter, NAME, "")
    monkeypatch.setattr(durations, "_MAX_PENDING", 5)
    for value in VALUES * 9:
        recorder.record(value, OK)
    reader = InMemoryMetricReader()
    meter.on_set_meter_provider(provider_with(reader))
    for value in VALUES:
        recorder.record(value, OK)
    ((_, (point,)),) = shown(reader)
    assert len(VALUES) <= point["count"] < len(VALUES) + 5
    silent = Durations(NoOpMeterProvider().get_meter("m"), NAME, "")
    silent.record(1.0, OK)
    silent.record(1.0, OK, in_trace(1))

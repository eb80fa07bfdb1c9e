"""Adding many values to a histogram of the SDK at once, with the result of adding each of them.

This uses what the SDK has no public names for. Where something is not as expected (other kinds of
aggregations, exemplars of another kind), the SDK gets one value after the other.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import (
    AlignedHistogramBucketExemplarReservoir,
    AlwaysOffExemplarFilter,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics._internal import aggregation as kinds
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weenats.telemetry.durations import Sampled
    from weenats.telemetry.manager import Attributes

__all__ = ["add", "takes_many"]
_NO_SPAN: Final = set_span_in_context(INVALID_SPAN, Context())
_DROPPED: Final[Any] = kinds._DropAggregation  # pyright: ignore[reportPrivateUsage]
_BUCKETS: Final[Any] = kinds._ExplicitBucketHistogramAggregation  # pyright: ignore[reportPrivateUsage]
_FILTERS: Final = (AlwaysOffExemplarFilter, TraceBasedExemplarFilter)


def takes_many(histogram: Any) -> bool:  # noqa: ANN401 - its attributes have no public types
    """Return whether all exemplars of a histogram are from sampled traces.

    Args:
        histogram: the histogram of the SDK.
    """
    return type(histogram._measurement_consumer._sdk_config.exemplar_filter) in _FILTERS


def add(
    histogram: Any,  # noqa: ANN401 - its attributes have no public types
    attributes: Attributes,
    values: list[float],
    sampled: list[Sampled],
) -> None:
    """Add values to a histogram.

    Args:
        histogram: the histogram of the SDK.
        attributes: the attributes of all values.
        values: values of traces that are not sampled.
        sampled: values of traces that are sampled, in the order of their times.
    """
    if not (values or sampled) or not histogram._is_enabled():
        return
    if _add_at_once(histogram, attributes, values, sampled):
        return
    # The first value is added as usual, which creates the aggregations that are missing.
    if values:
        histogram.record(values.pop(), attributes, _NO_SPAN)
    else:
        _record(histogram, attributes, sampled.pop(0))
    if _add_at_once(histogram, attributes, values, sampled):
        return
    for value in values:
        histogram.record(value, attributes, _NO_SPAN)
    for each in sampled:
        _record(histogram, attributes, each)


def _add_at_once(
    histogram: Any,  # noqa: ANN401
    attributes: Attributes,
    values: list[float],
    sampled: list[Sampled],
) -> bool:
    """Add values; return False, without adding any, where something is not as expected."""
    with ExitStack() as locks:
        aggregations = list(_aggregations(histogram, attributes, locks))
        if not all(map(_can_merge, aggregations)):
            return False
        merged = values + [each.seconds for each in sampled]
        for aggregation in aggregations:
            if merged and type(aggregation) is _BUCKETS:
                _merge(aggregation, merged)
                _offer(histogram, aggregation, attributes, sampled)
    return True


def _record(histogram: Any, attributes: Attributes, value: Sampled) -> None:  # noqa: ANN401
    """Add a value as the histogram does, but with the time when it was measured."""
    if histogram._is_enabled():
        histogram._measurement_consumer.consume_measurement(
            Measurement(value.seconds, value.time, histogram, value.context, attributes)
        )


def _aggregations(histogram: Any, attributes: Attributes, locks: ExitStack) -> Iterable[Any]:  # noqa: ANN401
    """Return what each reader and view makes of the values, locked; None where it is not found."""
    for storage in histogram._measurement_consumer._reader_storages.values():
        for match in storage._get_or_init_view_instrument_match(histogram):
            keys = match._view._attribute_keys
            shown = {
                name: value for name, value in attributes.items() if keys is None or name in keys
            }
            locks.enter_context(match._lock)
            found = match._attributes_aggregation.values()
            yield next((each for each in found if each._attributes == shown), None)


def _can_merge(aggregation: Any) -> bool:  # noqa: ANN401
    return type(aggregation) is _DROPPED or (
        type(aggregation) is _BUCKETS
        and type(aggregation._reservoir) is AlignedHistogramBucketExemplarReservoir
    )


def _merge(aggregation: Any, values: list[float]) -> None:  # noqa: ANN401
    """Add values as `aggregate` of the SDK does with each."""
    with aggregation._lock:
        if aggregation._value is None:
            aggregation._value = aggregation._get_empty_bucket_counts()
        counts, bounds = aggregation._value, aggregation._boundaries
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        aggregation._sum += sum(values)
        if aggregation._record_min_max:
            aggregation._min = min(aggregation._min, *values)
            aggregation._max = max(aggregation._max, *values)


def _offer(
    histogram: Any,  # noqa: ANN401
    aggregation: Any,  # noqa: ANN401
    attributes: Attributes,
    sampled: list[Sampled],
) -> None:
    """Offer what becomes an exemplar: the last value of each bucket."""
    takes = histogram._measurement_consumer._sdk_config.exemplar_filter.should_sample
    buckets: set[int] = set()
    for each in reversed(sampled):
        bucket = bisect_left(aggregation._boundaries, each.seconds)
        value = each.seconds, each.time, attributes, each.context
        if bucket not in buckets and takes(*value):
            buckets.add(bucket)
            aggregation._reservoir.offer(*value)

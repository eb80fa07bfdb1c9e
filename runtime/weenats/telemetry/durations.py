"""Histograms of durations that hand their values to the metrics provider in batches.

The SDK takes ten to twenty microseconds for each value: it hashes the attributes, looks for views
and considers an exemplar. Here a value is appended to a list, which is handed over when it is full,
and before metrics are collected.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from weenats._internal.process_lock import process_lock
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

    from weenats.telemetry.manager import Attributes

__all__ = ["Durations", "Sampled"]
_MAX_PENDING: Final = 256
_MAX_SAMPLED: Final = 16
"""The same for durations of sampled traces: each of them keeps its span in memory."""
_BEFORE_COLLECTION: Final = "weenats.durations"
"""An instrument without values: its callback is called before metrics are collected."""
_LOCK: Final = process_lock()
_NO_SPAN: Final = set_span_in_context(INVALID_SPAN, Context())


class Sampled(NamedTuple):
    """A duration that was measured in a sampled trace, which it may be an example of.

    Attributes:
        seconds: the duration.
        time: when it was measured, nanoseconds since the epoch.
        context: the context of its span.
    """

    seconds: float
    time: int
    context: Context


class Durations:
    """A histogram of durations in seconds, with the buckets of the semantic conventions.

    Args:
        meter: creates the histogram.
        name: the name of the metric.
        description: its description.
    """

    def __init__(self, meter: Meter, name: str, description: str) -> None:
        self._histogram = meter.create_histogram(
            name,
            unit="s",
            description=description,
            explicit_bucket_boundaries_advisory=semconv.BUCKETS,
        )
        meter.create_observable_gauge(_BEFORE_COLLECTION, [_hand_over_all])
        self._series: dict[int, _Series] = {}

    def record(
        self, seconds: float, attributes: Attributes, sampled_in: Context | None = None
    ) -> None:
        """Add a duration.

        Args:
            seconds: the duration.
            attributes: its attributes, the same object for all durations that have these.
            sampled_in: the context of its span if the trace is sampled.
        """
        series = self._series.get(id(attributes))
        if series is None:
            series = self._series[id(attributes)] = _Series(self._histogram, attributes)
        values: list[Any] = series.values
        limit = series.limit
        if sampled_in is None:
            values.append(seconds)
        else:
            values = series.sampled
            values.append(Sampled(seconds, time_ns(), sampled_in))
            limit = min(limit, _MAX_SAMPLED)
        # After appending: another thread may be handing over what was there before.
        if len(values) == 1:
            _pending.add(series)
        if len(values) >= limit:
            series.hand_over()


class _Series:
    """The durations of one set of attributes.

    Attributes:
        values: durations that were not sampled and are not handed over yet.
        sampled: those that were sampled.
        limit: how many there may be. The first one is handed over immediately: the data points of
            the provider say since when they count.
    """

    __slots__ = ("_add", "_attributes", "_histogram", "limit", "sampled", "values")

    def __init__(self, histogram: Histogram, attributes: Attributes) -> None:
        self.values: list[float] = []
        self.sampled: list[Sampled] = []
        self.limit = 1
        self._histogram = histogram
        self._attributes = attributes
        self._add: Callable[[Any, Attributes, list[float], list[Sampled]], None] | None = None

    def hand_over(self) -> None:
        """Add the durations to the histogram of the provider."""
        with _LOCK:
            values, sampled = _taken(self.values), _taken(self.sampled)
            if self.values or self.sampled:
                _pending.add(self)
            # A histogram of the API stands for that of a provider that is set later.
            histogram: Any = getattr(self._histogram, "_real_instrument", self._histogram)
            if histogram is None:
                self.limit = _MAX_PENDING
            elif self._add is not None:
                self._add(histogram, self._attributes, values, sampled)
            else:
                # One that was recorded just now belongs to the current span, an older one to none.
                context = None if self.limit == 1 else _NO_SPAN
                for seconds in values:
                    histogram.record(seconds, self._attributes, context)
                for each in sampled:
                    histogram.record(each.seconds, self._attributes, each.context)
                self._keep_for(histogram)

    def _keep_for(self, histogram: Any) -> None:  # noqa: ANN401 - of any provider
        """From now on keep values for a while, if the provider of a histogram can take many."""
        self.limit = 1
        if type(histogram).__module__.startswith("opentelemetry.sdk."):
            from weenats.telemetry.sdk_histogram import add, takes_many  # noqa: PLC0415 - the SDK

            if takes_many(histogram):
                self._add, self.limit = add, _MAX_PENDING


def _taken(values: list[Any]) -> list[Any]:
    """Remove and return the values of a list that other threads may be appending to."""
    taken = values[:]
    del values[: len(taken)]
    return taken


def _hand_over_all(_: CallbackOptions) -> list[Observation]:
    for _turn in range(len(_pending)):
        try:
            series = _pending.pop()
        except KeyError:  # another thread was quicker
            break
        series.hand_over()
    return []


_pending: Final[set[_Series]] = set()
"""The series with durations that are not handed over, even if their client has gone."""

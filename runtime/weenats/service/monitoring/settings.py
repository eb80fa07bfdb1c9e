"""Settings of monitoring."""

from collections.abc import Sequence
from dataclasses import dataclass

from weenats._internal.validation import check_boolean
from weenats.protocol.timeouts import Duration, seconds
from weenats.service.monitoring.custom_metrics import CustomMetric, check_metrics

__all__ = ["MonitoringSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """The arguments of `with_monitoring`.

    Attributes:
        interval: time between two snapshots, converted to seconds.
        include_memory_stats: whether snapshots contain the memory of the process.
        include_request_stats: whether snapshots contain request statistics.
        custom_metrics: metrics of the application.

    Raises:
        InvalidArgumentError: the interval is not positive and finite.
        TypeError: a value has a wrong type.
        ValueError: the name or the type of a metric is not valid.
    """

    interval: Duration
    include_memory_stats: bool
    include_request_stats: bool
    custom_metrics: Sequence[CustomMetric]

    def __post_init__(self) -> None:
        for name in ("include_memory_stats", "include_request_stats"):
            check_boolean(name, getattr(self, name))
        object.__setattr__(self, "interval", seconds(self.interval, "interval"))
        object.__setattr__(self, "custom_metrics", check_metrics(self.custom_metrics))

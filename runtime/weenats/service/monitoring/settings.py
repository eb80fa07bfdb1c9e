"""What `with_monitoring` is told, refused at once where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from weenats.protocol.deadline import seconds
from weenats.service.monitoring.custom_metrics import check_metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.protocol.deadline import Duration
    from weenats.service.monitoring.custom_metrics import CustomMetric


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """What `with_monitoring` was told; the interval in seconds."""

    interval: float
    include_memory_stats: bool
    include_request_stats: bool
    custom_metrics: tuple[CustomMetric, ...]

    @classmethod
    def of(
        cls,
        *,
        interval: Duration,
        include_memory_stats: bool,
        include_request_stats: bool,
        custom_metrics: Sequence[CustomMetric],
    ) -> Self:
        """Return settings that were checked.

        Raises:
            InvalidArgumentError: the interval is no duration.
            TypeError: a value is of another type.
            ValueError: a metric has a name or a type that it cannot have.
        """
        for value in (include_memory_stats, include_request_stats):
            if type(value) is not bool:
                raise TypeError(f"what to include is told by True or False, not {value!r}")
        return cls(
            interval=seconds(interval, "interval"),
            include_memory_stats=include_memory_stats,
            include_request_stats=include_request_stats,
            custom_metrics=check_metrics(custom_metrics),
        )

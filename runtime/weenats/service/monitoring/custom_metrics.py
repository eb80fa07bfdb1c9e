"""Custom metrics, which are read for each snapshot."""

import inspect
import math
import re
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import Final, Literal, TypedDict, cast

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task
from weenats._internal.tracebacks import release_frames
from weenats._internal.validation import check_plain, checked_entries
from weenats.protocol.messages import MonitoringMetric

__all__ = ["CustomMetric", "CustomMetrics", "check_metrics"]

_LOG: Final = LimitedLogger("weenats.monitoring")
_NAME: Final = re.compile("[a-z][a-z0-9_]*")
_TYPES: Final = ("counter", "gauge")


class CustomMetric(TypedDict):
    """A metric of the application, for `with_monitoring(custom_metrics=...)`.

    Example:
        ```python
        from weenats import CustomMetric

        jobs: list[str] = []
        metric: CustomMetric = {
            "name": "queue_depth",
            "type": "gauge",
            "help": "Jobs that have not been started.",
            "read": lambda: len(jobs),
        }
        ```

    Attributes:
        name: unique name that matches `^[a-z][a-z0-9_]*$`.
        type: "counter" for a value that only increases, else "gauge".
        help: human-readable description.
        read: returns the current value, a finite number. It is called in the event loop and must
            not block.
    """

    name: str
    type: Literal["counter", "gauge"]
    help: str
    read: Callable[[], float]


def check_metrics(custom_metrics: object) -> tuple[CustomMetric, ...]:
    """Check custom metrics and return copies.

    Args:
        custom_metrics: a list of `CustomMetric`.

    Raises:
        TypeError: a value has a wrong type, or `read` is not a plain function.
        ValueError: a name is not valid or not unique, or a type is unknown.
    """
    members = ("name", "type", "help", "read")
    entries = checked_entries(custom_metrics, "custom_metrics", members, _NAME)
    for entry in entries:
        name = entry["name"]
        if entry["type"] not in _TYPES:
            raise ValueError(
                f'type of the metric {name} is "counter" or "gauge", not {entry["type"]!r}'
            )
        if not isinstance(entry["help"], str):
            raise TypeError(f"help of the metric {name} must be a string, not {entry['help']!r}")
        check_plain(entry["read"], f"read of the metric {name}")
    return tuple(cast("CustomMetric", dict(entry)) for entry in entries)


class CustomMetrics:
    """Reads metrics; one that raises or returns no finite number is omitted, and logged once.

    Args:
        metrics: the checked metrics.
        variables: the context variables with which they are read; None for an empty context.
    """

    def __init__(self, metrics: Iterable[CustomMetric], variables: Context | None = None) -> None:
        self._metrics = tuple(metrics)
        self._variables = Context() if variables is None else variables
        self._logged: set[str] = set()

    def read(self) -> dict[str, MonitoringMetric]:
        """Return the current values by name."""
        return {
            metric["name"]: MonitoringMetric(type=metric["type"], help=metric["help"], value=value)
            for metric in self._metrics
            if (value := self._value(metric)) is not None
        }

    def _value(self, metric: CustomMetric) -> float | None:
        try:
            return _checked(self._variables.copy().run(metric["read"]), metric["type"])
        except BaseException as error:  # one metric must not affect the others
            if ends_task(error):
                raise
            if metric["name"] not in self._logged:
                self._logged.add(metric["name"])
                _LOG.warning("the metric %s cannot be read", metric["name"], exc_info=error)
            release_frames(error)
            return None


def _checked(value: object, kind: str) -> float:
    """Return the value of a metric as a float.

    Raises:
        TypeError: it is not a number.
        ValueError: it is not finite, or the negative value of a counter.
        OverflowError: it is too large.
    """
    if inspect.iscoroutine(value):
        value.close()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"the value must be int or float, not {type(value).__name__}")
    number = float(value)
    if not math.isfinite(number) or (kind == "counter" and number < 0):
        raise ValueError(f"{value!r} is not a valid value of a {kind}")
    return number

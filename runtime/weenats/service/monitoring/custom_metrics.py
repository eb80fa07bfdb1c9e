"""Metrics of the user's own: read for each snapshot, left out when they cannot be."""

from __future__ import annotations

import inspect
import logging
import math
import re
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from weenats._internal.validation import checked_entries
from weenats.protocol.messages import MonitoringMetric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LOG: Final = logging.getLogger("weenats.monitoring")
_NAME: Final = re.compile("[a-z][a-z0-9_]*")
_TYPES: Final = ("counter", "gauge")


class CustomMetric(TypedDict):
    """A metric of the user's own.

    Attributes:
        name: `^[a-z][a-z0-9_]*$`, unique.
        type: a counter only grows, a gauge goes up and down.
        help: what it tells, for people.
        read: returns a finite number; it is called on the loop and must not block.
    """

    name: str
    type: Literal["counter", "gauge"]
    help: str
    read: Callable[[], float]


def check_metrics(custom_metrics: object) -> tuple[CustomMetric, ...]:
    """Return metrics that were checked.

    Raises:
        TypeError: a value is of another type, or `read` is no plain function.
        ValueError: a name is malformed or repeated, or a type is unknown.
    """
    members = ("name", "type", "help", "read")
    entries = checked_entries(custom_metrics, "custom_metrics", members, _NAME)
    for entry in entries:
        name, read = entry["name"], entry["read"]
        if entry["type"] not in _TYPES:
            raise ValueError(f"the metric {name} is a counter or a gauge, not {entry['type']!r}")
        if not isinstance(entry["help"], str):
            raise TypeError(f"the help of the metric {name} is text, not {entry['help']!r}")
        if not callable(read) or inspect.iscoroutinefunction(read):
            raise TypeError(f"the metric {name} is read by a plain function, not {read!r}")
    return tuple(
        CustomMetric(name=each["name"], type=each["type"], help=each["help"], read=each["read"])
        for each in entries
    )


class CustomMetrics:
    """Reads metrics; one that raises or returns no finite number is left out, and logged once."""

    def __init__(self, metrics: Iterable[CustomMetric]) -> None:
        self._metrics = tuple(metrics)
        self._logged: set[str] = set()

    def read(self) -> dict[str, MonitoringMetric]:
        """Return what can be read now, by name."""
        return {
            metric["name"]: MonitoringMetric(type=metric["type"], help=metric["help"], value=value)
            for metric in self._metrics
            if (value := self._value(metric)) is not None
        }

    def _value(self, metric: CustomMetric) -> float | None:
        try:
            return _checked(metric["read"](), metric["type"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the other metrics are told
            if metric["name"] not in self._logged:
                self._logged.add(metric["name"])
                _LOG.warning("the metric %s cannot be read", metric["name"], exc_info=error)
            return None


def _checked(value: object, kind: str) -> float:
    """Return a number that a message can carry.

    Raises:
        TypeError: it is none.
        ValueError: it is not finite, or a negative counter.
        OverflowError: it is too large.
    """
    if inspect.iscoroutine(value):
        value.close()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"it is {type(value).__name__}, not int or float")
    number = float(value)
    if not math.isfinite(number) or (kind == "counter" and number < 0):
        raise ValueError(f"no {kind} is {value!r}")
    return number

"""Custom metrics: validation, and values that are omitted."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import Any

import pytest

from weenats.service.monitoring.custom_metrics import CustomMetrics, check_metrics


def a_metric(read: Any = int, **changes: Any) -> Any:
    """Return an entry of custom_metrics."""
    return {"name": "depth", "type": "gauge", "help": "How deep.", "read": read, **changes}


@pytest.mark.parametrize("name", ["depth", "d", "queue_depth2", "d__"])
def test_names(name: str) -> None:
    """Names have lower-case letters, digits and underscores."""
    assert check_metrics([a_metric(name=name)])[0]["name"] == name


@pytest.mark.parametrize(
    "name", ["", "Depth", "9a", "_a", "a-b", "a b", "a\n", "a.b", "ä", None, 5]
)
def test_no_names(name: Any) -> None:
    """Other names are refused."""
    with pytest.raises(ValueError, match="a name in custom_metrics matches"):
        check_metrics([a_metric(name=name)])


async def later() -> int:
    """Return a number."""
    return 5


@pytest.mark.parametrize(
    ("metrics", "error", "told"),
    [
        ([a_metric(), a_metric()], ValueError, "have the name depth twice"),
        ([a_metric(type="summary")], ValueError, 'depth is "counter" or "gauge", not \'summary\''),
        ([a_metric(type=["gauge"])], ValueError, 'depth is "counter" or "gauge"'),
        ([a_metric(help=None)], TypeError, "help of the metric depth must be a string"),
        ([a_metric(5)], TypeError, "depth must be a plain function"),
        ([a_metric(later)], TypeError, "depth must be a plain function"),
        ([{"name": "depth"}], ValueError, "name, type, help, read; this one has name"),
        ([5], TypeError, "a dictionary, not int"),
        ("depth", TypeError, "a list of dictionaries"),
        (iter([a_metric()]), TypeError, "a list of dictionaries"),
    ],
)
def test_no_metrics(metrics: Any, error: type[Exception], told: str) -> None:
    """Invalid metrics are refused with a helpful message."""
    with pytest.raises(error, match=told):
        check_metrics(metrics)


class Lying(float):
    """A number whose conversion to float fails."""

    def __float__(self) -> float:
        raise RuntimeError("no")


def failing() -> float:
    """Raise an exception with a secret in its message."""
    raise ValueError("password=hunter2")


def returning(value: Any) -> Any:
    """Return a function that returns a value."""
    return lambda: value


@pytest.mark.parametrize("value", [0, 7, -3, 2.5, -0.0, 2**53, 1e308, sys.float_info.min])
def test_values(value: float) -> None:
    """Finite numbers are read with type and help."""
    (told,) = CustomMetrics(check_metrics([a_metric(returning(value))])).read().values()
    assert (told.value, told.type, told.help) == (value, "gauge", "How deep.")


@pytest.mark.parametrize(
    "read",
    [
        failing,
        lambda: later(),  # noqa: PLW0108 - a plain function that returns a coroutine
        *map(returning, [None, True, "5", b"5", [5], {}, 5j, Fraction(1, 2)]),
        *map(returning, [math.nan, math.inf, -math.inf, 10**400, Lying(1)]),
    ],
)
def test_no_values(read: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A metric that raises or has no finite value is omitted and logged once."""
    metrics = CustomMetrics(check_metrics([a_metric(read), a_metric(int, name="other")]))
    for _ in range(3):
        assert list(metrics.read()) == ["other"]
    (record,) = caplog.records
    assert record.getMessage() == "the metric depth cannot be read"
    assert record.exc_info


def test_counters_are_not_negative() -> None:
    """A negative counter is omitted; a gauge may be negative."""
    assert not CustomMetrics(check_metrics([a_metric(returning(-1), type="counter")])).read()
    assert CustomMetrics(check_metrics([a_metric(returning(0), type="counter")])).read()


def test_a_metric_comes_back() -> None:
    """A metric is read again after a failure."""
    values = iter([math.nan, 5.0])
    metrics = CustomMetrics(check_metrics([a_metric(lambda: next(values))]))
    assert not metrics.read()
    assert metrics.read()["depth"].value == 5.0

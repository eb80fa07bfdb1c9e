"""Custom metrics: validation, and values that cannot be read."""

from __future__ import annotations

import asyncio
import math
import sys
from contextvars import ContextVar, copy_context
from fractions import Fraction
from traceback import walk_tb
from typing import Any

import pytest

from weenats._internal.tracebacks import MAX_FRAMES
from weenats.service.monitoring.custom_metrics import CustomMetrics, check_metrics


def make_metric(read: Any = int, **changes: Any) -> Any:
    """Return an entry of custom_metrics."""
    return {"name": "depth", "type": "gauge", "help": "How deep.", "read": read, **changes}


@pytest.mark.parametrize("name", ["depth", "d", "queue_depth2", "d__"])
def test_valid_metric_names_are_accepted(name: str) -> None:
    """A name has lower-case letters, digits and underscores."""
    assert check_metrics([make_metric(name=name)])[0]["name"] == name


@pytest.mark.parametrize(
    "name", ["", "Depth", "9a", "_a", "a-b", "a b", "a\n", "a.b", "ä", None, 5]
)
def test_invalid_metric_names_are_rejected(name: Any) -> None:
    """Other names are rejected."""
    with pytest.raises(ValueError, match="a name in custom_metrics matches"):
        check_metrics([make_metric(name=name)])


async def read_later() -> int:
    """Return a number asynchronously."""
    return 5


@pytest.mark.parametrize(
    ("metrics", "error", "told"),
    [
        ([make_metric(), make_metric()], ValueError, "have the name depth twice"),
        (
            [make_metric(type="summary")],
            ValueError,
            'depth is "counter" or "gauge", not \'summary\'',
        ),
        ([make_metric(type=["gauge"])], ValueError, 'depth is "counter" or "gauge"'),
        ([make_metric(help=None)], TypeError, "help of the metric depth must be a string"),
        ([make_metric(5)], TypeError, "depth must be a plain function"),
        ([make_metric(read_later)], TypeError, "depth must be a plain function"),
        ([{"name": "depth"}], ValueError, "name, type, help, read; this one has name"),
        ([5], TypeError, "a dictionary, not int"),
        ("depth", TypeError, "a list of dictionaries"),
        (iter([make_metric()]), TypeError, "a list of dictionaries"),
    ],
)
def test_invalid_metrics_are_rejected(metrics: Any, error: type[Exception], told: str) -> None:
    """The error says what is wrong with the metrics."""
    with pytest.raises(error, match=told):
        check_metrics(metrics)


class UnreadableFloat(float):
    """A float whose value cannot be read."""

    def __float__(self) -> float:
        raise RuntimeError("no")


def failing() -> float:
    """Raise an error that contains a secret."""
    raise ValueError("password=hunter2")


def cancelled() -> float:
    """Raise what is no subclass of Exception, as the result of a cancelled future does."""
    raise asyncio.CancelledError


def returning(value: Any) -> Any:
    """Return a reader that returns this value."""
    return lambda: value


@pytest.mark.parametrize("value", [0, 7, -3, 2.5, -0.0, 2**53, 1e308, sys.float_info.min])
def test_finite_values_are_reported(value: float) -> None:
    """Finite numbers are reported with their type and help."""
    (told,) = CustomMetrics(check_metrics([make_metric(returning(value))])).read().values()
    assert (told.value, told.type, told.help) == (value, "gauge", "How deep.")


@pytest.mark.parametrize(
    "read",
    [
        failing,
        cancelled,
        lambda: read_later(),  # noqa: PLW0108 - a plain function that returns a coroutine
        *map(returning, [None, True, "5", b"5", [5], {}, 5j, Fraction(1, 2)]),
        *map(returning, [math.nan, math.inf, -math.inf, 10**400, UnreadableFloat(1)]),
    ],
)
def test_unreadable_metrics_are_omitted(read: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A metric that raises or is not finite is omitted and logged once."""
    metrics = CustomMetrics(check_metrics([make_metric(read), make_metric(int, name="other")]))
    for _ in range(3):
        assert list(metrics.read()) == ["other"]
    (record,) = caplog.records
    assert record.getMessage() == "the metric depth cannot be read"
    assert record.exc_info


def test_exception_that_is_raised_again_keeps_few_frames() -> None:
    """A stored exception that a metric raises each time it is read keeps few frames."""
    stored = OSError()

    def read() -> float:
        raise stored

    metrics = CustomMetrics(check_metrics([make_metric(read)]))
    for _ in range(MAX_FRAMES + 1):
        assert not metrics.read()
    assert len(list(walk_tb(stored.__traceback__))) <= MAX_FRAMES


def test_metrics_share_no_context_variables() -> None:
    """A metric sees neither the context of whoever starts the service nor what it set before."""
    variable = ContextVar("variable", default="none")
    seen: list[str] = []

    def read() -> int:
        seen.append(variable.get())
        variable.set("the metric")
        return 5

    variable.set("the service")
    own = copy_context()
    variable.set("a request")
    for metrics in (CustomMetrics([make_metric(read)]), CustomMetrics([make_metric(read)], own)):
        metrics.read()
        metrics.read()
    assert seen == ["none", "none", "the service", "the service"]


def test_negative_counters_are_omitted() -> None:
    """A negative counter is omitted, a negative gauge is not."""
    assert not CustomMetrics(check_metrics([make_metric(returning(-1), type="counter")])).read()
    assert CustomMetrics(check_metrics([make_metric(returning(0), type="counter")])).read()


def test_metric_is_reported_again_after_a_failure() -> None:
    """A metric that could not be read for a while is reported again."""
    values = iter([math.nan, 5.0])
    metrics = CustomMetrics(check_metrics([make_metric(lambda: next(values))]))
    assert not metrics.read()
    assert metrics.read()["depth"].value == 5.0

"""Measurements of `weenats top`, computed from service statistics."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from weenats.protocol.messages import StatsResponse
from weenats_codegen.cli.top import Measurement, Poll, measure, rendered


def stats(
    *endpoints: tuple[int, int, Any], data: Any = None, instance: str = "i-1"
) -> StatsResponse:
    """Return a statistics response with (requests, errors, data) per endpoint."""
    body: dict[str, Any] = {
        "type": "io.nats.micro.v1.stats_response",
        "name": "probe",
        "id": instance,
        "version": "1.0.0",
        "started": "2026-03-01T09:30:00Z",
        "endpoints": [
            {
                "name": f"e-{number}",
                "subject": f"probe.{number}",
                "num_requests": requests,
                "num_errors": errors,
                "last_error": "",
                "processing_time": 0,
                "average_processing_time": 0,
                **({} if told is None else {"data": told}),
            }
            for number, (requests, errors, told) in enumerate(endpoints)
        ],
        **({} if data is None else {"data": data}),
    }
    return StatsResponse.model_validate(body)


def poll(asked: float, *answers: StatsResponse) -> Poll:
    """Return a poll with the answers received at a time."""
    return Poll(asked, {(each.name, each.id): [each] for each in answers})


def monitoring(**changes: Any) -> dict[str, Any]:
    """Return the statistics data of a service with monitoring."""
    requests = {"total": 9, "errors": 1, "rate": 2.5, "inFlight": 3, "queued": 4, **changes}
    snapshot = {
        "name": "probe",
        "id": "i-1",
        "version": "1.0.0",
        "timestamp": "2026-03-01T09:30:00.125Z",
        "uptime": 5.0,
        "custom": {},
        "requests": requests,
    }
    return {"monitoring": snapshot}


def measure_one(now: Poll, before: Poll | None = None) -> Measurement:
    """Measure polls that contain exactly one instance."""
    (measured,) = measure(now, before)
    return measured


def render_table(*measured: Measurement, width: int = 100) -> str:
    """Render the table as text for a terminal of the given width."""
    terminal = Console(width=width)
    with terminal.capture() as capture:
        terminal.print(rendered(measured, {}))
    return capture.get()


def test_rates_between_two_polls() -> None:
    """Rates are the increase of requests and errors per second between two polls."""
    before = poll(10, stats((100, 5, None), (50, 0, None)))
    now = poll(12, stats((110, 6, None), (60, 0, None)))
    measured = measure_one(now, before)
    assert (measured.rate, measured.error_rate) == (10.0, 0.5)


@pytest.mark.parametrize(
    "before",
    [
        None,
        poll(10),
        poll(10, stats((1, 0, None), instance="i-2")),
        poll(10, stats((99, 0, None))),
        poll(10, stats((1, 99, None))),
        poll(12, stats((1, 0, None))),
    ],
)
def test_rates_without_previous_poll(before: Poll | None) -> None:
    """Without a comparable previous poll the rate is that of monitoring, or unknown."""
    measured = measure_one(poll(12, stats((10, 1, None))), before)
    assert (measured.rate, measured.error_rate) == (None, None)
    measured = measure_one(poll(12, stats((10, 1, None), data=monitoring())), before)
    assert (measured.rate, measured.error_rate) == (2.5, None)


def test_values_from_monitoring() -> None:
    """Percentiles and load come from the monitoring data; percentiles are optional."""
    measured = measure_one(poll(1, stats(data=monitoring(p50=1.5, p99=9.25))))
    assert (measured.p50, measured.p99, measured.in_flight, measured.queued) == (1.5, 9.25, 3, 4)
    measured = measure_one(poll(1, stats(data=monitoring())))
    assert (measured.p50, measured.p99, measured.in_flight, measured.queued) == (None, None, 3, 4)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["closed"], "closed"),
        (["closed", "half-open"], "half-open"),
        (["half-open", "open", "closed"], "open"),
        ([], None),
        (["ajar"], None),
    ],
)
def test_worst_circuit_breaker_state(states: list[str], expected: str | None) -> None:
    """The worst circuit breaker state of all endpoints is shown."""
    endpoints = [(0, 0, {"circuitBreaker": {"state": state}}) for state in states]
    assert measure_one(poll(1, stats(*endpoints))).circuit_breaker == expected


def test_rate_limit_refusals_are_summed() -> None:
    """Refusals of all endpoints are summed; without rate limits the sum is unknown."""
    limited = [(0, 0, {"rateLimit": {"refused": count}}) for count in (3, 4)]
    assert measure_one(poll(1, stats(*limited, (0, 0, None)))).refusals == 7
    assert measure_one(poll(1, stats((0, 0, {"rateLimit": {"refused": 0}})))).refusals == 0
    assert measure_one(poll(1, stats((0, 0, None)))).refusals is None


@pytest.mark.parametrize(
    "data",
    [
        "text",
        5,
        [1],
        {},
        {"monitoring": None},
        {"monitoring": "x", "circuitBreaker": "x", "rateLimit": [1]},
        {"monitoring": {}, "circuitBreaker": {"state": ["open"]}, "rateLimit": {"refused": "9"}},
        {"monitoring": {"requests": {}}, "circuitBreaker": {"state": None}, "rateLimit": {}},
        {**monitoring(rate=-1), "rateLimit": {"refused": 1.5}},
    ],
)
def test_foreign_statistics_data_is_ignored(data: Any) -> None:
    """Statistics data in another format gives unknown values, not an error."""
    measured = measure_one(poll(1, stats((1, 0, data), data=data)))
    unknown = (measured.rate, measured.p50, measured.in_flight, measured.refusals)
    assert unknown == (None, None, None, None)
    assert measured.circuit_breaker is None


def test_table_has_all_columns() -> None:
    """Every value has a column, and a row fits in 100 characters."""
    told = monitoring(p50=1.5, p99=9.25)
    endpoint = (7, 2, {"circuitBreaker": {"state": "open"}, "rateLimit": {"refused": 3}})
    before = poll(1, stats((5, 1, None), instance="01M89RQ581GCFSK1JAV6PBAPTN"))
    now = poll(2, stats(endpoint, data=told, instance="01M89RQ581GCFSK1JAV6PBAPTN"))
    shown = render_table(*measure(now, before))
    head, row = shown.rstrip().split("\n")
    assert head.split() == (
        [
            "instance",
            "req/s",
            "err/s",
            "p50",
            "ms",
            "p99",
            "ms",
            "in",
            "flight",
            "queued",
            "breaker",
            "refused",
        ]
    )
    assert row.split() == [
        "probe",
        "…V6PBAPTN",
        "2.0",
        "1.0",
        "1.50",
        "9.25",
        "3",
        "4",
        "open",
        "3",
    ]


def test_unknown_values_are_blank() -> None:
    """An unknown value is blank; a column without any value is omitted."""
    known = stats((1, 0, None), data=monitoring(), instance="i-1")
    unknown = stats((1, 0, None), instance="i-2")
    head, first, second = render_table(*measure(poll(1, known, unknown), None)).rstrip().split("\n")
    assert head.split() == ["instance", "req/s", "in", "flight", "queued"]
    assert first.split() == ["probe", "i-1", "2.5", "3", "4"]
    assert second.split() == ["probe", "i-2"]


def test_narrow_terminal_wraps_values() -> None:
    """On a narrow terminal values are wrapped, not truncated."""
    endpoint = (7, 2, {"circuitBreaker": {"state": "half-open"}, "rateLimit": {"refused": 12345}})
    answer = stats(endpoint, data=monitoring(p50=1.5, p99=9.25), instance="x" * 30)
    shown = render_table(*measure(poll(2, answer), None), width=80)
    for figure in ("2.5", "1.50", "9.25", "half-open", "12345", "xxxx"):
        assert figure in shown


def test_instance_names_are_escaped() -> None:
    """Escape sequences in names are removed, and markup is printed as text."""
    shown = render_table(*measure(poll(1, stats(instance="[red]\x1b[J")), None))
    assert "\x1b" not in shown
    assert "red]" in shown

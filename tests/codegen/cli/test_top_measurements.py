"""The measurements of `top`, for weenats services and for others."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from weenats.protocol.messages import StatsResponse
from weenats_codegen.cli.top import Measurement, Poll, measure, rendered


def stats(
    *endpoints: tuple[int, int, Any], data: Any = None, instance: str = "i-1"
) -> StatsResponse:
    """Return statistics with the requests, errors and data of each endpoint."""
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
    """Return the answers at a time."""
    return Poll(asked, {(each.name, each.id): each for each in answers})


def monitoring(**changes: Any) -> dict[str, Any]:
    """Return the data of a service with monitoring."""
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


def one(now: Poll, before: Poll | None = None) -> Measurement:
    """Return the measurements of the only instance."""
    (measured,) = measure(now, before)
    return measured


def text(*measured: Measurement, width: int = 100) -> str:
    """Return the table as a terminal of this width shows it."""
    terminal = Console(width=width)
    with terminal.capture() as capture:
        terminal.print(rendered(measured))
    return capture.get()


def test_rates_are_differences() -> None:
    """Rates are the requests and errors between two polls, divided by the time."""
    before = poll(10, stats((100, 5, None), (50, 0, None)))
    now = poll(12, stats((110, 6, None), (60, 0, None)))
    measured = one(now, before)
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
def test_nothing_to_compare_with(before: Poll | None) -> None:
    """Without a comparable earlier poll, the rate of the service itself is shown."""
    measured = one(poll(12, stats((10, 1, None))), before)
    assert (measured.rate, measured.error_rate) == (None, None)
    measured = one(poll(12, stats((10, 1, None), data=monitoring())), before)
    assert (measured.rate, measured.error_rate) == (2.5, None)


def test_what_monitoring_tells() -> None:
    """Percentiles and load are those of monitoring; percentiles may be unknown."""
    measured = one(poll(1, stats(data=monitoring(p50=1.5, p99=9.25))))
    assert (measured.p50, measured.p99, measured.in_flight, measured.queued) == (1.5, 9.25, 3, 4)
    measured = one(poll(1, stats(data=monitoring())))
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
def test_the_breaker_that_is_worst_off(states: list[str], expected: str | None) -> None:
    """The worst state of all circuit breakers is shown."""
    endpoints = [(0, 0, {"circuitBreaker": {"state": state}}) for state in states]
    assert one(poll(1, stats(*endpoints))).circuit_breaker == expected


def test_refusals_of_limits() -> None:
    """The refusals of all endpoints are added; without limits they are unknown."""
    limited = [(0, 0, {"rateLimit": {"refused": count}}) for count in (3, 4)]
    assert one(poll(1, stats(*limited, (0, 0, None)))).refusals == 7
    assert one(poll(1, stats((0, 0, {"rateLimit": {"refused": 0}})))).refusals == 0
    assert one(poll(1, stats((0, 0, None)))).refusals is None


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
def test_data_of_another_make(data: Any) -> None:
    """Unexpected data of other services is unknown."""
    measured = one(poll(1, stats((1, 0, data), data=data)))
    unknown = (measured.rate, measured.p50, measured.in_flight, measured.refusals)
    assert unknown == (None, None, None, None)
    assert measured.circuit_breaker is None


def test_the_table() -> None:
    """Every value has its column; a row fits in 100 characters."""
    told = monitoring(p50=1.5, p99=9.25)
    endpoint = (7, 2, {"circuitBreaker": {"state": "open"}, "rateLimit": {"refused": 3}})
    before = poll(1, stats((5, 1, None), instance="01M89RQ581GCFSK1JAV6PBAPTN"))
    now = poll(2, stats(endpoint, data=told, instance="01M89RQ581GCFSK1JAV6PBAPTN"))
    shown = text(*measure(now, before))
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


def test_unknown_figures_are_blank() -> None:
    """Unknown values are blank; a column without values is omitted."""
    known = stats((1, 0, None), data=monitoring(), instance="i-1")
    unknown = stats((1, 0, None), instance="i-2")
    head, first, second = text(*measure(poll(1, known, unknown), None)).rstrip().split("\n")
    assert head.split() == ["instance", "req/s", "in", "flight", "queued"]
    assert first.split() == ["probe", "i-1", "2.5", "3", "4"]
    assert second.split() == ["probe", "i-2"]


def test_a_narrow_terminal() -> None:
    """In a narrow terminal text is folded; no number is cut off."""
    endpoint = (7, 2, {"circuitBreaker": {"state": "half-open"}, "rateLimit": {"refused": 12345}})
    answer = stats(endpoint, data=monitoring(p50=1.5, p99=9.25), instance="x" * 30)
    shown = text(*measure(poll(2, answer), None), width=80)
    for figure in ("2.5", "1.50", "9.25", "half-open", "12345", "xxxx"):
        assert figure in shown


def test_names_of_others_are_plain() -> None:
    """Control characters and markup of other services have no effect."""
    shown = text(*measure(poll(1, stats(instance="[red]\x1b[J")), None))
    assert "\x1b" not in shown
    assert "red]" in shown

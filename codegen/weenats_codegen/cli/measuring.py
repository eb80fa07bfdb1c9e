"""What instances do: two answers to STATS, and the difference between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from pydantic import MISSING, ValidationError

from weenats.protocol.messages import MonitoringRequests, MonitoringSnapshot, StatsResponse

BREAKER_STATES = ("closed", "half-open", "open")
"""From well to worst."""


@dataclass(frozen=True, slots=True)
class Poll:
    """What all instances answered, and when they were asked, on the monotonic clock."""

    asked: float
    answers: dict[tuple[str, str], StatsResponse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one instance does; None is not known.

    Rates are per second, percentiles in milliseconds.
    """

    service: str
    version: str
    instance: str
    rate: float | None
    error_rate: float | None
    p50: float | None
    p99: float | None
    in_flight: int | None
    queued: int | None
    circuit_breaker: str | None
    refusals: int | None


def measure(now: Poll, before: Poll | None) -> list[Measured]:
    """Return what each instance does; without a poll before, rates are what it tells itself."""
    return [_measured(stats, now, before) for stats in now.answers.values()]


def _measured(stats: StatsResponse, now: Poll, before: Poll | None) -> Measured:
    requests = _requests(stats)
    answered, failed = _rates(stats, now, before)
    return Measured(
        service=stats.name,
        version=stats.version,
        instance=stats.id,
        rate=requests.rate if answered is None and requests is not None else answered,
        error_rate=failed,
        p50=None if requests is None or requests.p50 is MISSING else requests.p50,
        p99=None if requests is None or requests.p99 is MISSING else requests.p99,
        in_flight=None if requests is None else requests.in_flight,
        queued=None if requests is None else requests.queued,
        circuit_breaker=_worst(stats),
        refusals=_sum(stats),
    )


def _requests(stats: StatsResponse) -> MonitoringRequests | None:
    """What an instance with monitoring tells of its requests."""
    try:
        told = MonitoringSnapshot.model_validate(_member(stats.data, "monitoring")).requests
    except ValidationError:
        return None
    return None if told is MISSING else told


def _rates(
    stats: StatsResponse, now: Poll, before: Poll | None
) -> tuple[float | None, float | None]:
    """Requests and errors per second; unknown when there is nothing to compare with."""
    earlier = before and before.answers.get((stats.name, stats.id))
    if not before or not earlier or now.asked <= before.asked:
        return None, None
    (requests, errors), (requests_before, errors_before) = _counted(stats), _counted(earlier)
    if requests < requests_before or errors < errors_before:
        return None, None  # a service of another make counts anew
    elapsed = now.asked - before.asked
    return (
        round((requests - requests_before) / elapsed, 3),
        round((errors - errors_before) / elapsed, 3),
    )


def _counted(stats: StatsResponse) -> tuple[int, int]:
    endpoints = stats.endpoints
    return sum(each.num_requests for each in endpoints), sum(each.num_errors for each in endpoints)


def _worst(stats: StatsResponse) -> str | None:
    """The state of the circuit breaker that is worst off."""
    told = list(_told(stats, "circuitBreaker", "state"))
    return next((state for state in reversed(BREAKER_STATES) if state in told), None)


def _sum(stats: StatsResponse) -> int | None:
    """How many requests the rate limits of all endpoints refused."""
    told = [count for count in _told(stats, "rateLimit", "refused") if isinstance(count, int)]
    return sum(told) if told else None


def _told(stats: StatsResponse, feature: str, member: str) -> Iterator[object]:
    """What the endpoints tell of a feature; others than ours may tell anything."""
    for endpoint in stats.endpoints:
        told = _member(_member(endpoint.data, feature), member)
        if told is not None:
            yield told


def _member(value: object, name: str) -> object:
    return cast("dict[object, object]", value).get(name) if isinstance(value, dict) else None

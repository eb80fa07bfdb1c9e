"""Timestamps of messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import monotonic_ns, time_ns


def utc_timestamp(seconds_ahead: float = 0.0) -> str:
    """Return the current time as ISO 8601 in UTC, with milliseconds and "Z".

    Args:
        seconds_ahead: how far in the future the time is.
    """
    moment = datetime.now(UTC) + timedelta(seconds=seconds_ahead)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(moment: datetime) -> float:
    """Return how many seconds ago something happened by the clock of another machine, at least 0.

    Args:
        moment: when it happened.
    """
    return max((datetime.now(UTC) - moment).total_seconds(), 0.0)


def since_epoch(moment: int) -> int:
    """Return a moment of the monotonic clock in nanoseconds since the epoch.

    Args:
        moment: nanoseconds of the monotonic clock.
    """
    return time_ns() - (monotonic_ns() - moment)

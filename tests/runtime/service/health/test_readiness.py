"""What keeps an instance from being ready."""

from __future__ import annotations

from typing import Any

import pytest

from weenats.protocol.messages import HealthCheckEntry
from weenats.service.health import readiness

WELL: dict[str, Any] = {
    "serving": True,
    "connected": True,
    "member": True,
    "refusing": [],
    "checks": [HealthCheckEntry(name="store", status="ok")],
}
SICK = [HealthCheckEntry(name="store", status="error", message="the check returned False")]


def test_ready() -> None:
    """An instance that serves, and whose checks pass, is ready for no reason to be told."""
    data = readiness(**WELL)
    assert (data.live, data.ready, data.ejected, data.reason) == (True, True, None, None)


@pytest.mark.parametrize(
    ("changes", "ejected", "reason"),
    [
        ({"serving": False}, None, "it is starting or stopping"),
        ({"serving": False, "member": False}, None, "it is starting or stopping"),
        ({"connected": False}, None, "it is not connected to NATS"),
        ({"checks": SICK}, None, "the check store fails"),
        ({"checks": SICK, "member": False}, True, "the check store fails"),
        (
            {"refusing": ["circuit breaker"], "member": False},
            True,
            "the circuit breaker refuses all requests",
        ),
        ({"member": False}, True, "it is about to return to its queue group"),
        (
            {"connected": False, "checks": SICK},
            None,
            "it is not connected to NATS, the check store fails",
        ),
    ],
)
def test_not_ready(changes: dict[str, Any], ejected: Any, reason: str) -> None:
    """Each obstacle is named; an instance that left its queue group while it serves is ejected."""
    data = readiness(**{**WELL, **changes})
    assert (data.live, data.ready, data.ejected, data.reason) == (True, False, ejected, reason)


def test_breakers_alone_do_not_matter() -> None:
    """A feature that refuses requests matters only if the instance has left its queue group."""
    assert readiness(**{**WELL, "refusing": ["circuit breaker"]}).ready is True


def test_denied_subscriptions_are_a_reason() -> None:
    """An instance that NATS does not let subscribe is not ready."""
    data = readiness(**{**WELL, "denied": ["receipts.query.summary"]})
    assert not data.ready
    assert data.reason == "NATS denies the subscription to receipts.query.summary"

"""Times of other machines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from weenats._internal.timestamps import age


def test_age() -> None:
    """What happened is not in the future, however the clocks of two machines differ."""
    now = datetime.now(UTC)
    assert age(now + timedelta(hours=1)) == 0.0
    assert age(now - timedelta(hours=1)) >= 3600

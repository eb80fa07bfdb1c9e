"""A few seconds of a soak test; `make soak` runs ten minutes, which also check memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from testkit.chaos.soak import soak

MATTERS_OF_SPEED = ("the memory of", "calls ended in")
"""What a few seconds on a machine that does other things besides cannot tell."""


@pytest.mark.timing
@pytest.mark.timeout(300)
async def test_short_soak_at_half_load(tmp_path: Path) -> None:
    """Calls succeed, tasks and subscriptions stay constant, and the logs are clean."""
    report = await soak(tmp_path, 4, print)
    print(report)
    assert not [
        fault for fault in report.faults if not any(each in fault for each in MATTERS_OF_SPEED)
    ]
    assert report.load["outcomes"]["success"] > 0
    assert report.memory.keys() == {"service", "client"}

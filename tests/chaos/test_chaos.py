"""Half a minute of chaos: everything fails at random, and no call is lost or executed twice.

`make chaos` has five minutes of it, with a seed of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import randrange

import pytest

from testkit.chaos.chaos import run

SEED = int(os.environ.get("SEED") or randrange(1, 2**31))
SECONDS = 12


@pytest.mark.timing
@pytest.mark.timeout(600)
async def test_some_seconds_of_chaos(tmp_path: Path) -> None:
    """Each call has one outcome, none is lost or executed twice, and the logs are clean."""
    print(f"again: make chaos SEED={SEED} SECONDS={SECONDS}")
    report = await run(tmp_path, SEED, SECONDS, print)
    print(report)
    assert report.faults == []
    assert report.outcomes["success"] > 0
    assert report.retried > 0

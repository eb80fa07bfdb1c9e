"""A process that records, for one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testkit.observed import Observed, observing
from testkit.probe import Probe


@pytest.fixture(params=["spans of the SDK", "spans put together late"])
def observed(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[Observed]:
    """What the SDK records; all that began has ended, once, and the SDK has nothing to warn of."""
    with observing(counts=request.param == "spans of the SDK") as recorded:
        yield recorded
        assert recorded.unended == 0
    logged = caplog.get_records("call")
    assert not [each for each in logged if each.name.startswith("opentelemetry")]


@pytest.fixture
def handlers() -> Probe:
    """The handlers; a test adds actions to them."""
    return Probe()

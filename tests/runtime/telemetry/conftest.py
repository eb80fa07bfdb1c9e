"""Fixtures that record the spans and metrics of one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testkit.probe import Probe
from testkit.telemetry import Recording, recording


@pytest.fixture(params=["spans of the SDK", "spans put together late"])
def observed(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[Recording]:
    """The recorded telemetry; every span has ended once, and the SDK logged no warnings."""
    with recording(counts=request.param == "spans of the SDK") as recorded:
        yield recorded
        assert recorded.unended == 0
    logged = caplog.get_records("call")
    assert not [each for each in logged if each.name.startswith("opentelemetry")]


@pytest.fixture
def handlers() -> Probe:
    """The probe's handlers; tests add actions."""
    return Probe()

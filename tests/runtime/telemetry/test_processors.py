"""Span processors of the application that fail."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor

from testkit.probe import Happened, Probe, ProbeClient, Run
from testkit.telemetry import EVERYTHING, recording
from weenats import NatsServiceBuilder, TelemetrySettings
from weenats.testing import MemoryTransport


class Failing(SpanProcessor):
    """Raises when a span begins, or when it ends."""

    def __init__(self, method: str) -> None:
        setattr(self, method, self.fail)

    def fail(self, *_: Any, **__: Any) -> None:
        """Fail."""
        raise RuntimeError("processor")


@pytest.mark.parametrize("method", ["on_start", "on_end"])
async def test_processor_that_raises_fails_no_call(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls and events of service and client succeed, and the log says what failed."""
    transport = MemoryTransport()
    handlers = Probe()
    service = NatsServiceBuilder(handlers, transport=transport).with_telemetry(sampling=EVERYTHING)
    with recording(counts=False) as observed:
        observed.tracer_provider.add_span_processor(Failing(method))
        async with service.build():
            settings = TelemetrySettings(sampling=EVERYTHING)
            client = ProbeClient(transport).with_telemetry(settings)
            assert (await client.run("k", Run(action="a"))).text == "a"
            await handlers.publish_happened("k", Happened(text="x"))
    assert "processor failed" in caplog.text

"""Contender "weenats, everything on, sampled out": no trace that begins here is recorded."""

import recorded
import recording
import typed
import with_auth
from harness import Call
from weenats import NatsServiceBuilder
from weenats.telemetry import TelemetrySettings

Orders, OrdersClient = typed.under("bench-sampled-out")


async def serve(url: str) -> None:
    """Serve with everything on, recording what the caller sampled."""
    recording.record()
    builder = NatsServiceBuilder(Orders(), servers=url)
    await typed.serving(recorded.with_everything(builder))


async def connect(url: str) -> Call:
    """Call with everything on, sampling nothing."""
    recording.record()
    client = OrdersClient.connect(url, token=with_auth.new_token())
    return await typed.calling(client.with_telemetry(TelemetrySettings(sampling={"commands": 0})))

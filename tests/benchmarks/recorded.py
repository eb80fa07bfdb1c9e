"""Contender "weenats, everything on, spans recorded": authentication, limit, breaker, telemetry."""

import recording
import typed
import with_auth
from harness import Call
from weenats import NatsServiceBuilder

Orders, OrdersClient = typed.under("bench-recorded")


def with_everything(builder: NatsServiceBuilder) -> NatsServiceBuilder:
    """Return a builder with everything on; no request is refused."""
    return (
        builder.with_auth(with_auth.CONFIG)
        .with_rate_limit(1_000_000, per_client=True)
        .with_circuit_breaker()
        .with_telemetry()
    )


async def serve(url: str) -> None:
    """Serve with everything on."""
    recording.record()
    await typed.serving(with_everything(NatsServiceBuilder(Orders(), servers=url)))


async def connect(url: str) -> Call:
    """Call with everything on."""
    recording.record()
    client = OrdersClient.connect(url, token=with_auth.new_token())
    return await typed.calling(client.with_telemetry())

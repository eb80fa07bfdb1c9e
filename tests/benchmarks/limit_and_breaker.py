"""Contender "weenats, limit and breaker": every request passes both, none is refused."""

import typed
from harness import Call
from weenats import NatsServiceBuilder

Orders, OrdersClient = typed.under("bench-limit-and-breaker")


async def serve(url: str) -> None:
    """Serve behind a limit that is never reached and a breaker that never opens."""
    builder = NatsServiceBuilder(Orders(), servers=url)
    await typed.serving(builder.with_rate_limit(1_000_000).with_circuit_breaker())


async def connect(url: str) -> Call:
    """Call as ever."""
    return await typed.calling(OrdersClient.connect(url))

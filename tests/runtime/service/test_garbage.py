"""What a request leaves behind: nothing that only the garbage collector would find."""

from __future__ import annotations

import gc

from testkit.probe import Probe, ProbeClient, Run
from weenats import NatsServiceBuilder
from weenats.testing import MemoryTransport

CALLS = 100


async def test_a_request_that_was_answered_is_gone() -> None:
    """Job, task and context do not hold each other: memory is free when the reply is sent."""
    transport, handlers = MemoryTransport(), Probe()
    client = ProbeClient(transport)

    async def call() -> None:
        await client.run("k", Run(action="go"))
        handlers.seen.clear()

    async with NatsServiceBuilder(handlers, transport=transport).build():
        await call()
        gc.collect()
        gc.disable()
        try:
            for _ in range(CALLS):
                await call()
            assert gc.collect() < CALLS
        finally:
            gc.enable()

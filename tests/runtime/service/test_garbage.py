"""A request leaves no reference cycles behind."""

from __future__ import annotations

import gc

from testkit.probe import Probe, ProbeClient, Run
from weenats import NatsServiceBuilder
from weenats.testing import MemoryTransport

CALLS = 100


async def test_answered_request_leaves_no_reference_cycle() -> None:
    """Job, task and context are freed without the garbage collector."""
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

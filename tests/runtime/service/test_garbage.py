"""A request leaves no reference cycles behind."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Awaitable, Callable

from testkit.probe import Probe, ProbeClient, Run
from weenats import NatsServiceBuilder
from weenats.testing import MemoryTransport

CALLS = 100
PARTS = ("Job", "RequestContext", "Response", "Task", "coroutine", "frame")


async def test_answered_request_leaves_no_reference_cycle() -> None:
    """Job, task and context are freed without the garbage collector."""
    transport, handlers = MemoryTransport(), Probe()
    client = ProbeClient(transport)

    async def call() -> None:
        await client.run("k", Run(action="go"))
        handlers.seen.clear()

    async with NatsServiceBuilder(handlers, transport=transport).build():
        await call()
        # Other tests may have left garbage of their own, which is found once.
        found = [await _garbage(call) for _ in range(3)]
    assert [] in found


async def _garbage(call: Callable[[], Awaitable[None]]) -> list[str]:
    """Return which parts of a request the garbage collector finds after many calls."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(CALLS):
            await call()
        gc.collect()
        found = Counter(type(each).__qualname__ for each in gc.garbage)
        return [name for name in PARTS if found[name] >= CALLS]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

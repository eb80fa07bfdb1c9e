"""Serve the probe in a process of its own until a signal comes."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection

from testkit.probe import Outcome, Probe, Run
from weenats import NatsServiceBuilder, RequestContext


async def serve(pipe: Connection, url: str, hold: float) -> None:
    """Serve two requests at a time, so that others wait."""
    handlers = Probe()

    async def hold_on(key: str, command: Run, context: RequestContext) -> Outcome:
        del command, context
        await asyncio.sleep(hold)
        return Outcome(text=key)

    handlers.actions["hold"] = hold_on
    builder = NatsServiceBuilder(handlers, url).with_queue_group("probe", max_concurrency=2)
    async with builder.build() as service:
        pipe.send("serving")
        await service.wait_until_stopped()


def main(pipe: Connection, url: str, hold: float) -> None:
    """Send "serving" once the service is ready; actions `hold` take some seconds."""
    asyncio.run(serve(pipe, url, hold))

"""Serve the probe in a process of its own until a signal comes.

`serve_probe.py URL SECONDS_TO_HOLD`.
"""

from __future__ import annotations

import asyncio
import sys

from testkit.probe import Outcome, Probe, Run
from weenats import NatsServiceBuilder, RequestContext


async def main(url: str, hold: float) -> None:
    """Serve two requests at a time, so that others wait."""
    handlers = Probe()

    async def hold_on(key: str, command: Run, context: RequestContext) -> Outcome:
        del command, context
        await asyncio.sleep(hold)
        return Outcome(text=key)

    handlers.actions["hold"] = hold_on
    builder = NatsServiceBuilder(handlers, url).with_queue_group("probe", max_concurrency=2)
    async with builder.build() as service:
        print("serving", flush=True)  # noqa: T201 - the test waits for this line
        await service.wait_until_stopped()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))

"""Call receipts in a process of its own: `call_receipts.py SETTINGS`.

Commands on standard input: `call` starts calling; `rest` stops, waits until all calls have ended,
and returns the resource usage; `prove` calls every operation and waits for the event. The process
ends at once when its parent process has ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict

from testkit.chaos.control import commands, reply
from testkit.chaos.journal import Journal
from testkit.chaos.journaled_client import JournaledClient
from testkit.chaos.receipts_client import receipts_client
from testkit.chaos.recording import record
from testkit.chaos.resources import own_usage
from testkit.chaos.settings import ProcessSettings


async def follow_commands(caller: JournaledClient) -> None:
    """Execute commands until standard input ends."""
    async for order in commands():
        match order:
            case "call":
                caller.call()
                reply()
            case "rest":
                await caller.rest()
                reply(**asdict(own_usage()))
            case "prove":
                reply(**await caller.prove())


async def main(settings: ProcessSettings) -> None:
    """Subscribe, and execute commands."""
    record()

    caller = JournaledClient(settings, receipts_client(settings), Journal(settings.journal_path))
    await caller.listen()
    reply()
    await follow_commands(caller)
    os._exit(1)


if __name__ == "__main__":
    asyncio.run(main(ProcessSettings.parse(sys.argv[1])))

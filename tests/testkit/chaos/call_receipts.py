"""Calls receipts: `call_receipts.py SETTINGS`.

It does as it is told: `call` until `rest`, which waits for the calls that were begun and asks for
its vitals; `prove` that every operation and the event come through. It ends at once when whoever
started it is gone.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict

from testkit.chaos.caller import Caller
from testkit.chaos.journal import Journal
from testkit.chaos.orders import orders, tell
from testkit.chaos.receipts_client import receipts_client
from testkit.chaos.recording import record
from testkit.chaos.settings import ProcessSettings
from testkit.chaos.vitals import own_vitals


async def obey(caller: Caller) -> None:
    """Do as told until nobody says anything any more."""
    async for order in orders():
        match order:
            case "call":
                caller.call()
                tell()
            case "rest":
                await caller.rest()
                tell(**asdict(own_vitals()))
            case "prove":
                tell(**await caller.prove())


async def main(settings: ProcessSettings) -> None:
    """Call."""
    record()

    caller = Caller(settings, receipts_client(settings), Journal(settings.journal_path))
    await caller.listen()
    tell()
    await obey(caller)
    os._exit(1)


if __name__ == "__main__":
    asyncio.run(main(ProcessSettings.parse(sys.argv[1])))

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
from urllib.request import urlopen

from caller import Caller
from journal import Journal
from orders import orders, tell
from receipts import ReceiptsClient
from recording import record
from settings import ProcessSettings
from vitals import own_vitals
from weenats import CachedToken


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

    def fetch() -> str:
        with urlopen(settings.issuer + settings.name, timeout=2) as reply:  # noqa: S310 - ours
            text: bytes = reply.read()
        return text.decode()

    receipts = (
        ReceiptsClient.connect(
            settings.servers,
            connection=settings.connection,
            token=CachedToken(lambda: asyncio.to_thread(fetch)),
        )
        .with_telemetry()
        .with_retry(attempts=4)
    )
    caller = Caller(settings, receipts, Journal(settings.journal_path))
    await caller.listen()
    tell()
    await obey(caller)
    os._exit(1)


if __name__ == "__main__":
    asyncio.run(main(ProcessSettings.parse(sys.argv[1])))

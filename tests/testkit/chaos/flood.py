"""Malformed messages on every subject during calls, and forged replies to those calls."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from random import Random
from time import monotonic
from typing import Final

from receipts.operations import CONTRACT
from testkit.chaos.frames import Frame
from testkit.chaos.mutations import mutated
from testkit.chaos.raw_nats import RawNats
from testkit.chaos.templates import notices, questions, requests
from weenats.protocol import subjects

_BATCH: Final = 40
_PAUSE: Final = 0.02
_CALLS_KEPT: Final = 50


async def flood(port: int, random: Random, seconds: float) -> None:
    """Send malformed messages for some seconds; none of them is authenticated.

    Calls that pass by get forged replies and forged cancellations.

    Raises:
        OSError: the server is not there or ends the connection.
    """
    inboxes: deque[str] = deque(maxlen=_CALLS_KEPT)
    async with RawNats(port) as nats:
        nats.on_message = lambda _subject, reply, _payload: inboxes.append(reply)
        nats.listen(f"{CONTRACT.name}.*.*.*")
        end = monotonic() + seconds
        while monotonic() < end:
            seen = [each for each in inboxes if each.startswith("_INBOX.")]
            templates = [*requests(None, "forged"), *questions(), *notices(seen[-5:])]
            frames = [_aimed(random.choice(templates), seen, random) for _ in range(_BATCH)]
            await nats.send(*frames)
            await asyncio.sleep(_PAUSE)


def _aimed(template: Frame, seen: list[str], random: Random) -> Frame:
    reply = "nobody.listens"
    if template.subject == subjects.cancel(CONTRACT.name) and seen:
        reply = random.choice(seen)
    return mutated(replace(template, reply=reply), random)

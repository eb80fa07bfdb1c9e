"""The timestamp of every message is the millisecond of its id."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from importlib import import_module
from typing import Any

import pytest
from ulid import ULID

from testkit.probe import Happened, Outcome, Probe, ProbeClient, Run
from weenats import CallNext, NatsServiceBuilder, RequestContext, Response
from weenats.client import call
from weenats.codec import metadata
from weenats.protocol.identifiers import Stamper
from weenats.testing import MemoryTransport
from weenats.transport import Delivery

MILLISECOND = 1_000_000


class Ticking:
    """A clock that is 7 milliseconds later each time."""

    def __init__(self) -> None:
        self.now = 1_772_357_400_125 * MILLISECOND

    def __call__(self) -> int:
        """Return nanoseconds since the epoch."""
        self.now += 7 * MILLISECOND
        return self.now


def milliseconds_of(timestamp: str) -> int:
    """Return a timestamp as milliseconds since the epoch."""
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)


async def test_timestamps_are_those_of_the_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent requests, replies and events keep their own time, however late they are sent."""
    stamper = Stamper(Ticking())
    for module in (call, metadata, import_module("weenats.events.publish")):
        monkeypatch.setattr(module, "STAMPER", stamper)
    sent: list[dict[str, Any]] = []
    handlers, transport = Probe(), MemoryTransport()

    async def delay(context: RequestContext, call_next: CallNext) -> Response:
        await asyncio.sleep(0.001 * int(context.key))
        return await call_next(context)

    async def announce(key: str, command: Run, context: RequestContext) -> Outcome:
        await asyncio.sleep(0.001 * int(key))
        await handlers.publish_happened(key, Happened(whatText="x"), revision=1)
        return Outcome(text=key)

    def record(delivery: Delivery) -> None:
        sent.append(json.loads(delivery.payload))

    handlers.actions["announce"] = announce
    async with NatsServiceBuilder(handlers, transport=transport).build():
        for subject in ("probe.command.>", "probe.events.>", "_INBOX.>"):
            transport.subscribe(subject, record)
        client = ProbeClient(transport).with_interceptor(delay)
        await asyncio.gather(*(client.run(str(n), Run(action="announce")) for n in (5, 1, 4, 2, 3)))
    stamps = [each["metadata"] for each in sent]
    assert len({each["messageId"] for each in stamps}) == 15
    for each in stamps:
        milliseconds = ULID.from_str(each["messageId"]).milliseconds
        assert milliseconds_of(each["timestamp"]) == milliseconds
    events = [each for each in sent if "type" in each]
    assert [each["timestamp"] for each in events] == [
        each["metadata"]["timestamp"] for each in events
    ]

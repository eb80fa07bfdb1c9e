"""Clocks that are wrong: order and identity come from streams, not from clocks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.waiting import ask_until
from testkit.wallets import builder, client, wallets
from weenats import new_message_id
from weenats.protocol.headers import AT_TIME
from weenats.protocol.identifiers import STAMPER
from weenats.testing import NatsServer
from weenats.transport.jetstream import JetStream

Amount = wallets.Amount
HOURS = (0, 5, -5, 0, 48, 0)
"""By how much the clock is wrong at each command."""


class WrongClock:
    """A clock that is wrong by some hours."""

    def __init__(self) -> None:
        self.hours = 0

    def __call__(self) -> int:
        """Return the nanoseconds since the epoch."""
        return time_ns() + self.hours * 3_600_000_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[WrongClock]:
    """The clock of all messages."""
    clock = WrongClock()
    monkeypatch.setattr(STAMPER, "_clock", clock)
    yield clock
    STAMPER.reset()


async def test_clock_that_jumps(own_nats_server: NatsServer, clock: WrongClock) -> None:
    """Commands and repeats count once, and events keep their order, whatever the time is."""
    url = own_nats_server.url
    async with builder(url).build() as service, client(url) as caller:
        ids = []
        for number, hours in enumerate(HOURS, start=1):
            clock.hours = hours
            ids.append(new_message_id())
            wallet = await caller.deposit("a", Amount(cents=1), message_id=ids[-1])
            assert wallet.balance == number
        for number, message_id in enumerate(ids, start=1):
            clock.hours = -number
            wallet = await caller.deposit("a", Amount(cents=1), message_id=message_id)
            assert wallet.balance == number
        executor = service._assembly.aggregates.executors["wallet"]
        assert await _revisions(service) == [1, 2, 3, 4, 5, 6]
        # What was at a time ends with the first commit that says it was later.
        for hours, revision in ((1, 1), (6, 4), (49, 6)):
            time = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
            context = make_context(
                side="server", operation=wallets.GET_WALLET, key="a", headers={AT_TIME: time}
            )
            found = await executor.earlier_entity(context)
            assert found.revision == revision


async def _revisions(service: Any) -> list[int]:
    """Return the revisions of the events in their stream, once all are there."""
    jetstream = JetStream(service._transport)

    async def found() -> list[int]:
        events = jetstream.read("wallets-events")
        return [json.loads(each.payload)["revision"] async for each in events]

    return await ask_until(lambda revisions: len(revisions) >= len(HOURS), found)

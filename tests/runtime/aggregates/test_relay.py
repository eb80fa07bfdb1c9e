"""Events of commits reach subscribers, in order."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import AsyncExitStack
from typing import Any
from unittest.mock import AsyncMock

import pytest

from testkit.waiting import LIMIT, eventually
from testkit.wallets import builder, client, wallets
from weenats import FailedPreconditionError, NatsTransport, UnavailableError
from weenats.aggregates import relay
from weenats.aggregates.relay import Relay
from weenats.protocol.headers import encode
from weenats.protocol.partitions import partition_of
from weenats.protocol.subjects import stored_event
from weenats.testing import NatsServer
from weenats.transport.jetstream import ConsumerConfig, ExclusivePull, JetStream

Amount = wallets.Amount


async def test_event_is_that_of_the_command(caller: Any, key: str) -> None:
    """Subscribers get key, revision, data, correlation and cause of each event."""
    events: list[Any] = []

    async def note(event: Any) -> None:
        if event.key == key:  # what other tests have committed may arrive late
            events.append(event)

    for subscribe in (
        caller.subscribe_deposited,
        caller.subscribe_withdrawn,
        caller.subscribe_closed,
    ):
        await subscribe(note)
    await caller.deposit(key, Amount(cents=5), correlation_id="purchase-1")
    await caller.empty(key, wallets.Empty())
    await eventually(lambda: len(events) == 3)
    events.sort(key=lambda event: event.revision)  # of three subscriptions
    assert [each.revision for each in events] == [1, 2, 3]
    assert {each.key for each in events} == {key}
    assert [each.data for each in events] == [
        wallets.Change(cents=5, balance=5),
        wallets.Change(cents=5, balance=0),
        wallets.Closed(),
    ]
    first, second, third = events
    assert first.correlation_id == "purchase-1"
    assert second.causation_id == third.causation_id != first.causation_id
    assert len({each.id for each in events}) == 3


async def test_events_of_a_key_are_in_order(nats_url: str, key: str) -> None:
    """Over two instances and eight keys, each event comes once, in the order of its key."""
    revisions: defaultdict[str, list[int]] = defaultdict(list)

    async def note(event: Any) -> None:
        if event.key.startswith(key):
            revisions[event.key].append(event.revision)

    async with builder(nats_url).build(), builder(nats_url).build(), client(nats_url) as caller:
        await caller.subscribe_deposited(note, max_concurrency=1)

        async def work(name: str) -> None:
            for _ in range(15):
                await caller.deposit(name, Amount(cents=1), timeout=60)

        names = [f"{key}-{number}" for number in range(8)]
        await asyncio.gather(*map(work, names))
        await eventually(lambda: sum(map(len, revisions.values())) == 120)
    assert revisions == {name: list(range(1, 16)) for name in names}


async def test_events_wait_while_no_instance_runs(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed before a stop reaches subscribers after the next start."""
    url, revisions = own_nats_server.url, list[int]()

    async def note(event: Any) -> None:
        revisions.append(event.revision)

    async with AsyncExitStack() as stack:
        caller = await stack.enter_async_context(client(url))
        run = Relay._run
        monkeypatch.setattr(Relay, "_run", AsyncMock())
        async with builder(url).build():
            monkeypatch.setattr(Relay, "_run", run)
            await caller.deposit("w-1", Amount(cents=5))
            await caller.deposit("w-1", Amount(cents=5))
        await caller.subscribe_deposited(note)
        async with builder(url).build():
            await eventually(lambda: len(revisions) == 2)
    assert revisions == [1, 2]


async def test_stopping_returns_the_commit_at_once(
    own_nats_server: NatsServer, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an instance was sending on when it stopped goes to another one without waiting."""
    monkeypatch.setattr(relay, "_ACK_WAIT", 600.0)
    sending, events, send = asyncio.Event(), list[Any](), Relay._send

    async def block(*_: object) -> None:
        sending.set()
        await asyncio.Event().wait()

    async def note(event: Any) -> None:
        events.append(event)

    url = own_nats_server.url
    async with client(url) as caller:
        monkeypatch.setattr(Relay, "_send", block)
        async with builder(url).with_drain_timeout(0.1).build():
            await caller.deposit(key, Amount(cents=5))
            await sending.wait()
        monkeypatch.setattr(Relay, "_send", send)
        await caller.subscribe_deposited(note)
        async with builder(url).build():
            await eventually(lambda: events)


async def test_durable_event_is_stored_once(caller: Any, key: str, nats_url: str) -> None:
    """It is in its stream, with its id, its key's partition and the revision after it."""
    await caller.deposit(key, Amount(cents=5))
    await caller.deposit(key, Amount(cents=6))
    transport = NatsTransport(nats_url)
    jetstream = JetStream(transport)

    async def stored() -> list[Any]:
        subject = stored_event("wallets", partition_of(key, 16), "wallet.deposited")
        messages = [each async for each in jetstream.read("wallets-events", subject)]
        return [each for each in messages if json.loads(each.payload)["aggregate"]["key"] == key]

    async with asyncio.timeout(LIMIT):
        while len(messages := await stored()) < 2:
            pass
    await transport.close()
    events = [json.loads(each.payload) for each in messages]
    assert [(each["revision"], each["data"]["cents"]) for each in events] == [(1, 5), (2, 6)]
    assert [each.headers["Nats-Msg-Id"] for each in messages] == [each["id"] for each in events]


async def test_foreign_message_does_not_stop_the_relay(
    caller: Any, key: str, nats_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that is not a commit is logged and left out; what follows is sent on."""
    revisions: list[int] = []

    async def note(event: Any) -> None:
        if event.key == key:
            revisions.append(event.revision)

    await caller.subscribe_deposited(note)
    transport = NatsTransport(nats_url)
    for partition in range(16):
        subject = f"wallets.commits.{partition}.wallet.other-{key}"
        await JetStream(transport).publish(subject, b'{"no": "commit"}', encode({}))
    await transport.close()
    await caller.deposit(key, Amount(cents=5))
    await eventually(lambda: revisions == [1])
    assert "is not a commit: its events are not sent on" in caplog.text


async def test_trace_of_the_command_goes_on(caller: Any, key: str) -> None:
    """An event belongs to the trace of its command."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers: list[str] = []

    async def note(event: Any) -> None:
        if event.key == key:
            headers.append(event.headers["traceparent"])

    await caller.subscribe_deposited(note)
    request = caller.transport.request

    async def traced(subject: str, payload: bytes, lines: bytes, *rest: Any, **options: Any) -> Any:
        return await request(
            subject, payload, lines + encode({"traceparent": trace}), *rest, **options
        )

    caller.transport.request = traced
    await caller.deposit(key, Amount(cents=5))
    await eventually(lambda: headers == [trace])


async def test_event_that_cannot_be_sent_is_sent_again(
    caller: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows it waits."""
    monkeypatch.setattr(relay, "_AGAIN", 0.01)
    revisions, failures, send = list[int](), list[int](), Relay._send

    async def fail_twice(self: Relay, *arguments: Any) -> None:
        if len(failures) < 2:
            failures.append(1)
            raise UnavailableError
        await send(self, *arguments)

    async def note(event: Any) -> None:
        if event.key == key:
            revisions.append(event.revision)

    await caller.subscribe_deposited(note)
    monkeypatch.setattr(Relay, "_send", fail_twice)
    await caller.deposit(key, Amount(cents=5))
    await caller.deposit(key, Amount(cents=5))
    await eventually(lambda: len(revisions) == 2)
    assert revisions == [1, 2]
    assert len(failures) == 2


async def test_instance_that_lost_its_turn_sends_nothing(
    caller: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has received goes back to the server, and comes again."""
    monkeypatch.setattr(relay, "_AGAIN", 0.01)
    revisions, asked, holds = list[int](), list[int](), ExclusivePull.holds

    def lose_once(self: ExclusivePull, turn: int) -> bool:
        asked.append(turn)
        return len(asked) > 1 and holds(self, turn)

    async def note(event: Any) -> None:
        if event.key == key:
            revisions.append(event.revision)

    await caller.subscribe_deposited(note)
    monkeypatch.setattr(ExclusivePull, "holds", lose_once)
    await caller.deposit(key, Amount(cents=5))
    await eventually(lambda: revisions == [1])


async def test_consumer_with_several_readers_is_refused(own_nats_server: NatsServer) -> None:
    """A service does not start where events could get out of order."""
    url = own_nats_server.url
    async with builder(url).build() as service:
        jetstream = service._assembly.aggregates._jetstream
        await jetstream.delete_consumer("wallets-commits", "relay-wallet")
        await jetstream.create_consumer("wallets-commits", ConsumerConfig("relay-wallet"))
        with pytest.raises(FailedPreconditionError, match="several readers at a time"):
            await builder(url).build().start()

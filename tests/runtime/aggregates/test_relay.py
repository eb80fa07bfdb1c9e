"""Events of commits reach subscribers, in order."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import AsyncExitStack
from typing import Any, Final
from unittest.mock import AsyncMock

import pytest
from opentelemetry.trace import SpanKind

from testkit.telemetry import EVERYTHING, recording
from testkit.waiting import LIMIT, ask_until, eventually
from testkit.wallets import builder, client, wallets
from weenats import (
    ConnectionOptions,
    FailedPreconditionError,
    NatsTransport,
    TelemetrySettings,
    UnavailableError,
)
from weenats.aggregates import relay
from weenats.aggregates.relay import Relay
from weenats.aggregates.relay_cache import RecentCommits
from weenats.projections import KeyValueView, Projection
from weenats.projections.status import unsent
from weenats.protocol.headers import encode
from weenats.protocol.partitions import partition_of
from weenats.protocol.subjects import stored_event
from weenats.streams.consumer_states import all_consumer_states
from weenats.testing import NatsServer
from weenats.transport.jetstream import (
    ConsumerConfig,
    ExclusivePull,
    JetStream,
    StreamFullError,
)

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


class DepositsConsumer(wallets.WalletsConsumer):  # type: ignore[misc]
    """The handlers of a projection that keeps nothing."""

    async def deposited(self, event: Any) -> None:
        """Do nothing."""


DEPOSITS: Final[Projection[Any]] = Projection(
    "deposits", KeyValueView.of(int), lambda _: DepositsConsumer()
)


async def test_commits_that_are_not_sent_yet_are_counted(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`weenats rebuild --status` shows them; without the permission to ask, that it is unknown."""
    url = own_nats_server.url
    transport = NatsTransport(url)
    assert await unsent(DEPOSITS, transport) == 0
    async with client(url) as caller:
        with monkeypatch.context() as patched:
            patched.setattr(Relay, "_run", AsyncMock())
            async with builder(url).build():
                await caller.deposit("w-1", Amount(cents=5))
                await caller.deposit("w-2", Amount(cents=5))
        assert await unsent(DEPOSITS, transport) == 2
        async with builder(url).build():
            await eventually_none_unsent(transport)
    await transport.close()
    with NatsServer(
        config="authorization: {users: [{user: a, password: a, permissions: {publish: "
        '{allow: ["x"]}}}]}'
    ) as server:
        transport = NatsTransport(server.url, ConnectionOptions(user="a", password="a"))
        assert await unsent(DEPOSITS, transport) is None
        await transport.close()


async def eventually_none_unsent(transport: NatsTransport) -> None:
    """Wait until the relay has sent everything."""
    await ask_until(lambda counts: not counts, lambda: unsent(DEPOSITS, transport))


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

    messages = await ask_until(lambda found: len(found) >= 2, stored)
    await transport.close()
    events = [json.loads(each.payload) for each in messages]
    assert [(each["revision"], each["data"]["cents"]) for each in events] == [(1, 5), (2, 6)]
    assert [each.headers["Nats-Msg-Id"] for each in messages] == [each["id"] for each in events]


async def test_foreign_message_does_not_stop_the_relay(
    caller: Any, key: str, nats_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that is not a commit is logged and left out; what follows is published."""
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
    assert "is not a commit: its events are not published" in caplog.text


async def test_events_of_a_newer_contract_wait_for_its_instance(
    own_nats_server: NatsServer,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An instance that does not know an event publishes what is before it, and leaves the rest."""
    url, events, start = own_nats_server.url, list[tuple[str, int]](), Relay.start
    monkeypatch.setattr(relay, "_AGAIN", 0.01)

    async def note_deposit(event: Any) -> None:
        events.append(("deposited", event.revision))

    async def note_withdrawal(event: Any) -> None:
        events.append(("withdrawn", event.revision))

    known = (wallets.DEPOSITED, wallets.WITHDRAWN, wallets.CLOSED)
    transports = [NatsTransport(url) for _ in range(2)]
    old = Relay(transports[0], "wallets", [wallets.DEPOSITED, wallets.CLOSED], RecentCommits())
    new = Relay(transports[1], "wallets", known, RecentCommits())
    monkeypatch.setattr(Relay, "start", AsyncMock())
    async with builder(url).build(), client(url) as caller:
        await caller.subscribe_deposited(note_deposit)
        await caller.subscribe_withdrawn(note_withdrawal)
        await caller.deposit(key, Amount(cents=5))
        await caller.withdraw(key, Amount(cents=1))
        await caller.deposit(key, Amount(cents=5))
        await start(old)
        await eventually(lambda: "has a stored event withdrawn, which is not in" in caplog.text)
        await eventually(lambda: events)
        assert events == [("deposited", 1)]
        monkeypatch.setattr(relay, "_STUCK", 0.0)
        await eventually(lambda: "withdrawn, which is not in the contract" in old.problem)
        await start(new)
        await eventually(lambda: len(events) == 3)
        assert sorted(events, key=lambda each: each[1]) == [
            ("deposited", 1),
            ("withdrawn", 2),
            ("deposited", 3),
        ]
    for each in (old, new):
        await each.close(LIMIT)
    for transport in transports:
        await transport.close()


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


async def test_each_event_has_a_producer_span(nats_url: str, key: str) -> None:
    """Its parent is the span of the command; that of the subscriber is its child."""
    heard: list[str] = []

    async def note(event: Any) -> None:
        heard.append(event.key)

    with recording() as observed:
        settings = TelemetrySettings(sampling=EVERYTHING)
        service = builder(nats_url).with_telemetry(sampling=EVERYTHING).build()
        async with service, client(nats_url) as bare:
            caller = bare.with_telemetry(settings)
            async with (
                await caller.subscribe_withdrawn(note),
                await caller.subscribe_closed(note),
            ):
                await caller.deposit(key, Amount(cents=5))
                await caller.empty(key, wallets.Empty())
                await eventually(lambda: heard.count(key) == 2)
        spans = {each.context.span_id: each for each in observed.spans}
        chains: list[list[str]] = []
        for span in observed.of(SpanKind.CONSUMER):
            names = [span.name]
            while span.parent is not None:
                span = spans[span.parent.span_id]  # noqa: PLW2901 - up to the root
                names.append(span.name)
            chains.append(names)
        sent = {
            point.attributes["messaging.destination.name"]: point.value
            for point in observed.points("messaging.client.sent.messages")
        }
    events = [f"wallets.events.wallet.{each}" for each in ("closed", "withdrawn")]
    assert sorted(chains) == [
        [f"process {each}", f"publish {each}", "wallets/empty", "wallets/empty"] for each in events
    ]
    assert {each: sent[each] for each in events} == dict.fromkeys(events, 1)


async def test_a_stuck_relay_is_seen(
    own_nats_server: NatsServer, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health and gauges show that events are not published, until they are."""
    monkeypatch.setattr(relay, "_AGAIN", 0.01)
    monkeypatch.setattr("weenats.streams.consumer_health._INTERVAL", 0.02)
    url, is_full, send = own_nats_server.url, True, Relay._send

    async def fail(*arguments: Any) -> None:
        if is_full:
            raise StreamFullError("wallets-events is full")
        await send(*arguments)

    monkeypatch.setattr(Relay, "_send", fail)
    with recording() as observed:

        def pending() -> float:
            return sum(
                point.value
                for name in ("pending", "unacknowledged")
                for point in observed.points(f"weenats.consumer.{name}")
            )

        async def check() -> Any:
            health = await caller.check_health()
            [entry] = health.data.checks
            assert entry.name == "consumer relay"
            assert health.data.ready == (entry.status == "ok")
            return entry

        service = builder(url).with_telemetry().build()
        async with service, client(url) as caller:
            assert (await check()).status == "ok"
            await caller.deposit(key, Amount(cents=5))
            await eventually(lambda: pending() == 1)
            assert (await check()).status == "ok"  # not yet
            monkeypatch.setattr(relay, "_STUCK", 0.0)
            entry = await ask_until(lambda found: found.status != "ok", check)
            assert entry.message == (
                "it cannot publish events: UNAVAILABLE: wallets-events is full"
            )
            is_full = False
            await ask_until(lambda found: found.status == "ok", check)
            await eventually(lambda: pending() == 0)
            transport = NatsTransport(url)
            streams = await JetStream(transport).streams()
            found = await all_consumer_states(transport, streams, "wallets")
            await transport.close()
    assert [(each.stream, each.name) for each in found["wallets"]] == [("wallets-commits", "relay")]


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


async def test_relay_is_healthy_once_it_gets_commits_again(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its problem ends with the failure, also when no event follows."""
    monkeypatch.setattr(relay, "_AGAIN", 0.01)
    monkeypatch.setattr(relay, "_STUCK", 0.0)
    problems: list[str] = []
    begin = ExclusivePull.__aenter__

    async def fail_twice(pull: ExclusivePull) -> ExclusivePull:
        problems.append(instance.problem)
        if len(problems) < 3:
            raise UnavailableError("there is no leader")
        return await begin(pull)

    async with builder(own_nats_server.url).build() as service:
        transport = service._assembly.aggregates._jetstream._transport
        instance = Relay(transport, "wallets", [wallets.DEPOSITED], RecentCommits())
        monkeypatch.setattr(ExclusivePull, "__aenter__", fail_twice)
        await instance.start()
        await eventually(lambda: len(problems) > 2 and not instance.problem)
        await instance.close(LIMIT)
    assert "there is no leader" in problems[2]


async def test_end_of_a_relay_at_a_server_that_hangs(own_nats_server: NatsServer) -> None:
    """A relay that ends waits for the server no longer than its timeout: that bounds a stop."""
    options = ConnectionOptions(close_timeout=LIMIT * 10)
    transport = NatsTransport(own_nats_server.url, options)
    async with builder(own_nats_server.url).build():
        instance = Relay(transport, "wallets", [wallets.DEPOSITED], RecentCommits())
        await instance.start()
        await eventually(lambda: transport._connection and len(transport._connection.interests) > 1)
        own_nats_server.pause()
        await asyncio.wait_for(instance.close(0), LIMIT)
        own_nats_server.resume()
    await transport.close()

"""Events that older versions of the contract have stored are read as those of the present one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from testkit.accounts import (
    DATA,
    OLD_EVENTS,
    Accounts,
    Recorder,
    accounts,
    store_old_commits,
)
from testkit.waiting import until
from weenats import InvalidArgumentError, NatsServiceBuilder, NatsTransport
from weenats.aggregates.errors import BrokenHistoryError
from weenats.aggregates.state_codec import EncodedEvent, StateCodec, StoredAggregate
from weenats.codec.events import event_codec
from weenats.codec.upcasting import upcast
from weenats.context import MessageContext
from weenats.contract import Event, EventVersion
from weenats.events import ReceivedEvent, consume, read_events
from weenats.projections import KeyValueView, Projection
from weenats.protocol.identifiers import STAMPER
from weenats.streams import apply_streams, plan_streams
from weenats.streams.store import store
from weenats.transport.jetstream import JetStream

DEPOSITED: Any = accounts.DEPOSITED
STREAM: Any = accounts.ACCOUNTS_EVENTS_STREAM
PRESENT = [accounts.Deposited(**each) for each in DATA]


@pytest.fixture
async def transport(nats_url: str) -> AsyncIterator[NatsTransport]:
    """A connection to a server with the streams of accounts."""
    transport = NatsTransport(nats_url)
    await apply_streams(transport, await plan_streams(transport, accounts.CONTRACT.streams))
    yield transport
    jetstream = JetStream(transport)
    for name in (STREAM.name, STREAM.dead_letters, "accounts-commits", "KV_accounts-snapshots"):
        await jetstream.delete_stream(name)
    await transport.close()


async def start_and_stop(url: str) -> None:
    """Let a service create its streams."""
    async with NatsServiceBuilder(Accounts(), url).build():
        pass


async def test_old_commits_are_folded_and_sent_on(nats_url: str, transport: NatsTransport) -> None:
    """States, consumers, readers, projections and subscribers get data of the present version."""
    await start_and_stop(nats_url)
    await store_old_commits(transport, "a-1")
    recorder, heard = Recorder(), asyncio.Queue[Any]()
    client = accounts.AccountsClient(transport)
    builder = NatsServiceBuilder(Accounts(), nats_url)
    async with await client.subscribe_deposited(heard.put), builder.build():
        account = await client.get_account("a-1")
        assert (account.state.balance, account.revision) == (234, 3)
        await client.deposit("a-1", accounts.Deposit(cents=1))
        assert (await client.get_account("a-1")).state.balance == 235
        latest = accounts.Deposited(cents=1, currency="EUR", rate=1)
        async with await consume(transport, recorder, "billing"):
            await until(lambda: len(recorder.seen) == 4)
        assert recorder.seen == [("a-1", each) for each in (*PRESENT, latest)]
        assert [(await heard.get()).data for _ in range(4)] == [*PRESENT, latest]
        read = [each.data async for each in read_events(transport, DEPOSITED, follow=False)]
        assert read == [*PRESENT, latest]
        await project(transport)
    versions = [
        json.loads(message.payload).get("dataVersion", 1)
        async for message in JetStream(transport).read(STREAM.name)
    ]
    assert versions == [1, 2, 3, 3]  # stored events stay as they were


async def project(transport: NatsTransport) -> None:
    """Build a projection of all events."""

    class Sum(Recorder):
        def __init__(self, view: KeyValueView[int]) -> None:
            super().__init__()
            self.view = view

        async def deposited(self, event: Any) -> None:
            await self.view.put("sum", (await self.view.get("sum") or 0) + event.data.cents)

    async with Projection("sums", KeyValueView.of(int), Sum).run(transport) as sums:
        await sums.caught_up()
        assert await (await sums.view()).get("sum") == 235
    await JetStream(transport).delete_stream("KV_sums-projection")


async def test_old_events_of_a_service(nats_url: str, transport: NatsTransport) -> None:
    """Events that are not of an aggregate have versions, too."""
    await start_and_stop(nats_url)
    codec = event_codec(accounts.CLOSING)
    message_id, timestamp = STAMPER.stamp()
    new = codec.encode(None, "now", None, MessageContext(message_id, message_id, timestamp))
    assert json.loads(new)["dataVersion"] == 2
    old = {name: value for name, value in json.loads(new).items() if name != "dataVersion"}
    for payload in (json.dumps({**old, "data": 7}).encode(), new):
        await store(transport, STREAM, "accounts.stream.0.closing", payload, b"", message_id="")
    events = read_events(transport, accounts.CLOSING, follow=False)
    assert [each.data async for each in events] == [7, "now"]


def notification(**members: Any) -> bytes:
    """Return an event as it is published."""
    head = {
        "id": "01JD8Q3XA4C2E6G8J0K2M4P6R8",
        "aggregate": {"type": "account", "key": "a"},
        "timestamp": "2026-03-01T09:30:00.125Z",
    }
    return json.dumps({**head, **members}).encode()


@pytest.mark.parametrize(("old", "present"), list(zip(OLD_EVENTS, PRESENT, strict=True)))
def test_versions_of_an_event(old: dict[str, Any], present: Any) -> None:
    """Each version is read, wherever the member with the version stands."""
    codec = event_codec(DEPOSITED)
    assert ReceivedEvent[Any](codec.decode(notification(**old)), {}).data == present
    last = {name: old[name] for name in sorted(old, reverse=True)}
    assert ReceivedEvent[Any](codec.decode(notification(**last)), {}).data == present


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (notification(type="deposited", dataVersion=2, data={"amount": "x"}), "cents"),
        (
            notification(type="deposited", dataVersion=4, data=PRESENT[0].model_dump()),
            "the data of deposited has version 4, and this contract knows 3: it is for programs",
        ),
        (notification(type="deposited", dataVersion="2", data=PRESENT[0].model_dump()), "Version"),
        (notification(type="deposited", dataVersion=2, data=[1]), "data"),
        (notification(type="deposited", dataVersion=2), "data"),
        (notification(type="deposited", data={}), "from version 1 raised KeyError"),
        (b"[]", "breaks the contract"),
        (b"{", "breaks the contract"),
    ],
)
def test_what_cannot_be_read(payload: bytes, told: str) -> None:
    """Old data that does not match, and what an upcaster cannot read, is INVALID_ARGUMENT."""
    with pytest.raises(InvalidArgumentError) as raised:
        event_codec(DEPOSITED).decode(payload)
    assert told in f"{raised.value} {raised.value.details}"


def test_data_of_a_newer_version_is_not_taken_for_ours() -> None:
    """Data that matches the contract may mean something else: it is neither folded nor handled."""
    aggregate = accounts.ACCOUNT_AGGREGATE
    moved: Event[Any] = Event(
        name="moved", contract=accounts.CONTRACT, aggregate=aggregate, data=dict, description=""
    )
    text = r"version 2, and this contract knows 1: it is for programs with the newer contract"
    codec = StateCodec(StoredAggregate(aggregate, {moved: lambda *_: None}))
    with pytest.raises(BrokenHistoryError, match=text):
        codec.apply(None, [EncodedEvent("moved", b"{}", 2)])
    for version in ({"dataVersion": 1}, {}):
        mentioned = notification(type="moved", **version, data={"dataVersion": 2})
        assert event_codec(moved).decode(mentioned)[4] == {"dataVersion": 2}
    with pytest.raises(InvalidArgumentError, match=text):
        event_codec(moved).decode(notification(type="moved", dataVersion=2, data={}))


def test_a_broken_upcaster_breaks_the_history() -> None:
    """The error names the event and the version."""
    stored = StoredAggregate(accounts.ACCOUNT_AGGREGATE, {DEPOSITED: Accounts().deposited})
    codec = StateCodec(stored)
    with pytest.raises(BrokenHistoryError, match="deposited from version 1 raised KeyError"):
        codec.apply(None, [EncodedEvent("deposited", b"{}")])
    with pytest.raises(BrokenHistoryError, match="deposited"):
        codec.apply(None, [EncodedEvent("deposited", b"{", 2)])


def test_digits_of_numbers_are_kept() -> None:
    """Data that no function changes keeps each digit."""
    event: Event[Any] = Event(
        name="changed",
        contract=accounts.CONTRACT,
        data=dict,
        description="",
        previous=(EventVersion(renamed={"a": "b"}, added={"c": None}),),
    )
    exact = b'{"a":0.10000000000000000000000001,"d":1e500}'
    assert upcast(event, exact, 1) == b'{"c":null,"b":0.10000000000000000000000001,"d":1e500}'
    assert upcast(event, exact, 2) is exact

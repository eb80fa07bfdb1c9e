"""Streams that are not what they must be: the service says so, and decides nothing on them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import reduce
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.waiting import LIMIT, answered, ask_until, eventually
from testkit.wallets import Wallets, builder, client, commit, wallets
from weenats import FailedPreconditionError, InternalError, NatsTransport, UnavailableError
from weenats.aggregates.aggregates import streams_of
from weenats.aggregates.commits import encode_commit, new_commit, read_commit
from weenats.aggregates.errors import AggregateBreachError
from weenats.aggregates.state_codec import EncodedEvent, StateCodec, StoredAggregate
from weenats.aggregates.store import CommitStore
from weenats.aggregates.stored_result import decode_result
from weenats.codec.operations import ContractBreachError
from weenats.errors import NotFoundError
from weenats.protocol.headers import NO_HEADERS
from weenats.protocol.partitions import partition_of
from weenats.schema import Schema
from weenats.service import StoredEndpoint
from weenats.testing import NatsServer
from weenats.transport.jetstream import JetStream, StoredMessage, StreamMissingError
from weenats_codegen.cli.main import main

Amount = wallets.Amount
STORED = StoredAggregate(
    wallets.WALLET_AGGREGATE, {wallets.DEPOSITED: Wallets().deposited, wallets.CLOSED: print}
)


@pytest.fixture
async def jetstream(nats_url: str) -> AsyncIterator[JetStream]:
    """The streams of the server."""
    transport = NatsTransport(nats_url)
    yield JetStream(transport)
    await transport.close()


async def put(jetstream: JetStream, key: str, body: bytes) -> None:
    """Store a commit as another program would."""
    await jetstream.publish(f"wallets.commits.{partition_of(key, 16)}.wallet.{key}", body)


async def test_commit_of_another_program(caller: Any, key: str, jetstream: JetStream) -> None:
    """The format is enough to write a commit."""
    await put(jetstream, key, commit(key))
    assert (await caller.get_wallet(key)).state.balance == 5
    assert (await caller.deposit(key, Amount(cents=1))).balance == 6


EVENT = {"id": "01JD8Q3XA4C2E6G8J0K2M4P6R8", "type": "deposited", "data": {}}
BROKEN = {
    "is not a commit": {"revision": "x"},
    "stored events are missing": {"revision": 3},
    "deposited does not match the contract": {"events": [EVENT]},
    "a stored event poured, which is not in the contract of this instance": {
        "events": [{**EVENT, "type": "poured"}]
    },
}


@pytest.mark.parametrize("text", BROKEN)
async def test_broken_history(
    own_nats_server: NatsServer, key: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Queries and commands are INTERNAL, and the log says what is wrong."""
    url = own_nats_server.url
    async with builder(url).build(), client(url) as caller:
        await put(JetStream(caller.transport), key, commit(key, **BROKEN[text]))
        with pytest.raises(InternalError) as raised:
            await caller.get_wallet(key)
        assert text in caplog.text
        assert text not in str(raised.value)
        with pytest.raises(InternalError):
            await caller.deposit(key, Amount(cents=1))


@pytest.mark.parametrize("place", ["key", "type", "partition"])
async def test_commit_of_another_aggregate(
    own_nats_server: NatsServer, key: str, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A commit in the place of another aggregate is not believed; its events are not published."""
    url, events = own_nats_server.url, list[Any]()
    other = {"key": ("wallet", "w-other"), "type": ("decision", key), "partition": ("wallet", key)}
    aggregate = dict(zip(("type", "key"), other[place], strict=True))
    partition = partition_of(key, 16) if place != "partition" else partition_of(key, 16) ^ 1

    async def note(event: Any) -> None:
        events.append(event)

    async with builder(url).build(), client(url) as caller:
        await caller.subscribe_deposited(note)
        subject = f"wallets.commits.{partition}.wallet.{key}"
        await JetStream(caller.transport).publish(subject, commit(key, aggregate=aggregate))
        told = "is a commit of another aggregate than its subject says: its events are not"
        await eventually(lambda: told in caplog.text)
        if place == "partition":
            with pytest.raises(wallets.WalletNotFoundError):
                await caller.withdraw(key, Amount(cents=1))
        else:
            with pytest.raises(InternalError):
                await caller.get_wallet(key)
            with pytest.raises(InternalError):
                await caller.deposit(key, Amount(cents=1))
        await caller.deposit(f"{key}-sound", Amount(cents=1))
        await eventually(lambda: [each.key for each in events] == [f"{key}-sound"])


async def test_commit_that_follows_on_another_key(
    own_nats_server: NatsServer, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each commit names the one before it, which has to be of its own key."""
    url = own_nats_server.url
    async with builder(url).build(), client(url) as caller:
        await caller.deposit("w-other", Amount(cents=1))
        await put(JetStream(caller.transport), key, commit(key, revision=2, previous=1))
        with pytest.raises(InternalError):
            await caller.get_wallet(key)
        assert "commit 1 of wallet is of another key than the commit that follows" in caplog.text


@pytest.mark.slow
async def test_long_history(nats_url: str, key: str, jetstream: JetStream) -> None:
    """Hundreds of commits are read in batches, also up to an earlier revision."""
    subject, previous = f"wallets.commits.{partition_of(key, 16)}.wallet.{key}", 0
    async with builder(nats_url).build() as service, client(nats_url) as caller:
        for number in range(1, 601):
            ack = await jetstream.publish(subject, commit(key, revision=number, previous=previous))
            previous = ack.sequence
        found = await caller.get_wallet(key)
        assert (found.revision, found.state.changes) == (600, 600)
        history = service._assembly.aggregates.executors["wallet"]._history
        earlier = await history.at(key, lambda each: each.first_revision >= 555, 555)
        assert earlier.revision == 555


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"max_age": 3600.0}, "can delete commits"),
        ({"max_messages": 5, "discard": "old"}, "can delete commits"),
        ({"max_messages_per_subject": 1}, "can delete commits"),
        ({"subjects": ("wallets.commits.1.>",)}, "stores wallets.commits.1.>, not"),
        ({"allow_direct": False}, "does not allow direct access"),
        ({"allow_rollup": True}, "permits rollups"),
        ({"other": {"no_ack": True}}, "cannot be stored with (no_ack)"),
        (
            {"other": {"subject_transform": {"src": "wallets.commits.>", "dest": "x.>"}}},
            "cannot be stored with (subject_transform)",
        ),
    ],
)
async def test_stream_with_other_settings(
    own_nats_server: NatsServer, settings: dict[str, Any], problem: str
) -> None:
    """The service does not start on a stream that would lose commits."""
    transport = NatsTransport(own_nats_server.url)
    jetstream = JetStream(transport)
    commits, snapshots = streams_of("wallets")
    try:
        await jetstream.create_stream(replace(commits, **settings))
        with pytest.raises(FailedPreconditionError, match=re.escape(problem)):
            await builder(own_nats_server.url).build().start()
        await jetstream.delete_stream(commits.name)
        await jetstream.create_stream(replace(snapshots, allow_direct=False))
        with pytest.raises(FailedPreconditionError, match="KV_wallets-snapshots does not allow"):
            await builder(own_nats_server.url).build().start()
    finally:
        await transport.close()


async def test_stream_that_somebody_edits(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check of the running service fails while it can lose commits, or is missing."""
    for name in ("_INTERVAL", "_AGAIN"):
        monkeypatch.setattr(f"weenats.transport.jetstream.upkeep.{name}", 0.02)
    async with (
        builder(own_nats_server.url).with_health().build(),
        client(own_nats_server.url) as caller,
        asyncio.timeout(LIMIT),
    ):

        async def problem() -> str | None:
            checks = (await caller.check_health()).data.checks
            return next((each.message for each in checks if each.name == "commits"), None)

        jetstream = JetStream(caller.transport)
        config = (await jetstream.stream_info("wallets-commits")).config
        await jetstream.update_stream(replace(config, max_age=3600.0))
        found = await ask_until(bool, problem)
        assert found is not None
        assert "can delete commits" in found
        await jetstream.update_stream(config)
        await ask_until(lambda message: message is None, problem)
        await jetstream.delete_stream("wallets-commits")
        found = await ask_until(bool, problem)
        assert found is not None
        assert "stream not found" in found


async def test_jetstream_is_turned_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The instance is not ready until it is turned on again, and commands say why they fail."""
    for name in ("_INTERVAL", "_AGAIN"):
        monkeypatch.setattr(f"weenats.transport.jetstream.upkeep.{name}", 0.02)
    monkeypatch.setattr("weenats.aggregates.relay._AGAIN", 0.02)
    config = (
        "accounts {{A {{jetstream: {}, users: [{{user: a, password: a}}]}}}}\n"
        "no_auth_user: a\njetstream {{}}\n"
    )

    def turn(jetstream: str) -> None:
        server._config = config.format(jetstream)
        server.restart()

    with NatsServer(config=config.format("enabled")) as server:
        async with (
            builder(server.url).with_health().build(),
            client(server.url) as caller,
            asyncio.timeout(LIMIT),
        ):

            async def health() -> str:
                try:
                    return str((await caller.check_health()).data)
                except UnavailableError:  # the client is connecting again
                    return ""

            await caller.deposit("w-1", Amount(cents=5))
            turn("disabled")
            await ask_until(lambda found: "JetStream not enabled for account" in found, health)
            arguments = ["health", "wallets", "--servers", server.url]
            assert await asyncio.to_thread(main, arguments) == 1
            assert "not ready: the check commits fails" in capsys.readouterr().out
            with pytest.raises(UnavailableError, match="JetStream is not available"):
                await caller.deposit("w-1", Amount(cents=5))
            turn("enabled")
            await ask_until(lambda found: "ready=True" in found, health)
            assert (await answered(lambda: caller.deposit("w-1", Amount(cents=5)))).balance == 10


async def test_streams_are_not_created_with_check(own_nats_server: NatsServer) -> None:
    """`with_streams("check")` leaves all streams to an operator."""
    async with builder(own_nats_server.url).build():
        pass
    transport = NatsTransport(own_nats_server.url)
    await JetStream(transport).delete_stream("wallets-commits")
    with pytest.raises(StreamMissingError):
        await builder(own_nats_server.url).with_streams("check").build().start()
    await transport.close()


async def test_consumer_of_the_relay_is_gone(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is created again where it was, and events go on."""
    monkeypatch.setattr("weenats.aggregates.relay._AGAIN", 0.01)
    monkeypatch.setattr("weenats.streams.consumer_upkeep._INTERVAL", 0.01)
    monkeypatch.setattr("weenats.streams.consumer_upkeep._PATIENCE", 0.01)
    url, revisions = own_nats_server.url, list[int]()

    async def note(event: Any) -> None:
        revisions.append(event.revision)

    async with builder(url).build() as service, client(url) as caller:
        await caller.subscribe_deposited(note)
        await caller.deposit("w-1", Amount(cents=1))
        await eventually(lambda: revisions == [1])
        aggregates = service._assembly.aggregates
        await eventually(lambda: aggregates._relay._upkeep._acknowledged.get("relay-wallet") == 1)
        await aggregates._jetstream.delete_consumer("wallets-commits", "relay-wallet")
        await caller.deposit("w-1", Amount(cents=1))
        await eventually(lambda: 2 in revisions)
        assert revisions == [1, 2]


async def test_missing_message_is_not_a_commit(
    nats_url: str, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sequence that the stream never had is NOT_FOUND after some attempts."""
    del service
    monkeypatch.setattr("weenats.aggregates.store._PAUSES", (0.01,) * 5)
    transport = NatsTransport(nats_url)
    with pytest.raises(NotFoundError):
        await CommitStore(transport, "wallets").get(2**40)
    await transport.close()


async def test_handlers_without_a_service(key: str) -> None:
    """An endpoint that no running instance serves is UNAVAILABLE."""
    context = make_context(side="server", operation=wallets.GET_WALLET, key=key)
    with pytest.raises(UnavailableError, match=r"no running service serves wallet\.get"):
        await StoredEndpoint.get(wallets.GET_WALLET).handler(context)


def test_decision_shows_no_data() -> None:
    """The text of a decision names the types of its events."""
    change = wallets.Change(cents=1, balance=987)
    decision = Wallets.emit(change, wallets.Closed())
    assert repr(decision) == "<Emission of Change, Closed>"
    assert repr(Wallets.reply(987)) == "<Decision of no events>"
    with pytest.raises(RuntimeError, match="apply them to know it"):
        decision.reply_state().result  # noqa: B018


def test_data_of_another_type() -> None:
    """Data that is not what the event has is a breach of the contract."""
    with pytest.raises(AggregateBreachError, match="emitted deposited, whose data breaks"):
        StateCodec(STORED).encode(wallets.DEPOSIT, [wallets.DEPOSITED.with_data("x")])
    event = EncodedEvent("deposited", b'{"cents":1,"balance":1}')
    assert StateCodec(STORED).apply(None, [event])[0] == b'{"balance":1,"changes":1}'


def test_stored_results() -> None:
    """A stored result that does not fit is a breach; a command without a result has none."""
    assert decode_result(wallets.EMPTY, None) is None
    for data in (b'{"balance":-1,"changes":0}', None):
        with pytest.raises(ContractBreachError, match="a stored result of deposit is not valid"):
            decode_result(wallets.DEPOSIT, data)


async def test_reply_subject_of_a_commit(
    caller: Any, key: str, jetstream: JetStream, nats_url: str
) -> None:
    """A caller that may not write commits cannot let the service write its reply in their place."""
    await caller.deposit(key, Amount(cents=5))
    hostile = NatsTransport(nats_url)
    await hostile.connect()
    reply = f"wallets.commits.{partition_of(key, 16)}.wallet.{key}"
    for request in (b"{}", b'{"aggregateId":{"type":"wallet","key":"%b"}}' % key.encode()):
        for subject in ("wallets.query.wallet.get", "wallets.command.wallet.deposit"):
            hostile.publish(subject, request, reply=reply)
    await hostile.fence()
    await hostile.close()
    assert (await caller.deposit(key, Amount(cents=1))).balance == 6
    stored = [each async for each in jetstream.read("wallets-commits", reply)]
    assert len(stored) == 2


def test_what_is_stored_can_be_read() -> None:
    """Events nest no deeper than a commit with them can be read; deeper ones are refused."""
    event = replace(wallets.DEPOSITED, data=Schema[Any](Any))
    stored = StoredAggregate(wallets.WALLET_AGGREGATE, {event: Wallets().deposited})
    command = replace(wallets.DEPOSIT, emits=(event,))
    codec, data = StateCodec(stored), reduce(lambda part, _: [part], range(190), 1)
    context = make_context(operation=command, side="server", key="k")
    encoded = codec.encode(command, [event.with_data(data)])
    new = new_commit(context, encoded, result=None, fingerprint="0", previous=0, revision=1)
    body = encode_commit(new, "wallet", "")
    subject = f"wallets.commits.{partition_of('k', 16)}.wallet.k"
    message = StoredMessage(subject, body, NO_HEADERS, stream="wallets-commits", sequence=1)
    assert read_commit(message).events == tuple(encoded)
    with pytest.raises(AggregateBreachError, match="nests deeper than 190 levels"):
        codec.encode(command, [event.with_data([data])])

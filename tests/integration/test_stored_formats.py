"""What earlier versions have stored is read as it was meant.

Each file of the folder `stored` holds the messages that the version of that day has left in its
streams and buckets. When the format of one of them changes, a file is added, and none is changed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from testkit.once import OnceClient, OnceProbe
from testkit.parcels import PARCELS_EVENTS_STREAM, Recorder, parcel_streams
from testkit.probe import Outcome, Run
from testkit.waiting import until
from testkit.wallets import builder as of_wallets
from testkit.wallets import wallets
from weenats import FailedPreconditionError, NatsServiceBuilder, NatsTransport
from weenats.aggregates.snapshots import Snapshots
from weenats.events import consume
from weenats.idempotency.entries import decode_entry
from weenats.protocol import headers as header_names
from weenats.streams.dead_letters import DeadLetters
from weenats.testing import NatsServer
from weenats.transport.jetstream import JetStream

Record = dict[str, list[dict[str, Any]]]
"""Messages by the name of their stream."""
RECORDS: Final = sorted((Path(__file__).parent / "stored").glob("*.json"))


@pytest.fixture(params=RECORDS, ids=[path.stem for path in RECORDS])
def record(request: pytest.FixtureRequest) -> Record:
    """What one version has stored."""
    found: Record = json.loads(request.param.read_text())
    return found


async def restore(transport: NatsTransport, record: Record, stream: str) -> None:
    """Store the messages of a stream, which a service of today has created."""
    for each in record[stream]:
        headers, payload = header_names.encode(each["headers"]), each["payload"].encode()
        await JetStream(transport).publish(each["subject"], payload, headers, stream=stream)


async def test_kept_replies(own_nats_server: NatsServer, record: Record) -> None:
    """A repeat gets the reply that an earlier version has kept, and only a repeat does."""
    bucket, handlers = "KV_probe-once", OnceProbe()
    states = [decode_entry(each["payload"].encode()) for each in record[bucket]]
    assert [each and each.state for each in states] == ["done", "running"]
    service = NatsServiceBuilder(handlers, own_nats_server.url).build()
    async with service, OnceClient.connect(own_nats_server.url, verify="off") as client:
        await restore(client.transport, record, bucket)
        message_id = "01M8PMMT2XNA3993P5HDZT2KW1"
        reply = await client.run("k-1", Run(action="done"), message_id=message_id)
        assert reply == Outcome(text="first reply")
        with pytest.raises(FailedPreconditionError, match="used before"):
            await client.run("k-1", Run(action="other"), message_id=message_id)
    assert handlers.seen == []


async def test_durable_events(nats_url: str, record: Record) -> None:
    """Events are processed, and dead letters are listed and processed again."""
    stream, consumer = PARCELS_EVENTS_STREAM, Recorder()
    async with parcel_streams(nats_url) as transport:
        await restore(transport, record, stream.name)
        await restore(transport, record, stream.dead_letters)
        async with await consume(transport, consumer, "billing"):
            await until(lambda: len(consumer.seen) == 3)
            letters = DeadLetters(transport, stream)
            (letter,) = [each async for each in letters.list()]
            await letters.retry(letter)
            await until(lambda: len(consumer.seen) == 4)
    shipped = ("p-1", "north")
    assert consumer.seen == [("p-1", 1), shipped, ("p-1", 2), shipped]
    assert (letter.consumer, letter.event_sequence, letter.attempts) == ("billing", 2, 1)
    assert (letter.subject, letter.is_omitted) == ("parcels.stream.1.parcel.shipped", False)
    assert (letter.reason, letter.error) == ("INTERNAL", "OSError")
    assert letter.time == record[stream.dead_letters][0]["headers"]["Wee-Dead-Time"]


async def test_dead_letter_without_its_event(nats_url: str, record: Record) -> None:
    """A letter of an event that was too large for it says so, by a header."""
    stream = PARCELS_EVENTS_STREAM
    (stored,) = record[stream.dead_letters]
    stored["headers"]["Wee-Dead-Omitted"], stored["payload"] = "1", ""
    async with parcel_streams(nats_url) as transport:
        await restore(transport, record, stream.dead_letters)
        (letter,) = [each async for each in DeadLetters(transport, stream).list()]
    assert letter.is_omitted


async def test_commits_and_snapshots(own_nats_server: NatsServer, record: Record) -> None:
    """States are those of the commits, snapshots are used, and commands go on from there."""
    url = own_nats_server.url
    async with of_wallets(url).build(), wallets.WalletsClient.connect(url, verify="off") as client:
        for stream in ("wallets-commits", "KV_wallets-snapshots"):
            await restore(client.transport, record, stream)
        wallet = await client.get_wallet("w.1")
        assert (wallet.state.balance, wallet.state.changes, wallet.revision) == (381, 3, 3)
        (stored,) = record["KV_wallets-snapshots"]
        digest = json.loads(stored["payload"][64:])["contract"]
        contract = replace(wallets.CONTRACT, digest=digest)
        snapshot = await Snapshots(client.transport, contract, "wallet", 2).load("w.1")
        assert snapshot is not None
        assert (json.loads(snapshot.state)["balance"], snapshot.revision) == (380, 2)
        assert (await client.withdraw("w.1", wallets.Amount(cents=81))).balance == 300

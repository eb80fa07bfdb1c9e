"""What earlier versions have stored is read as it was meant.

Each file of the folder `stored` holds the messages that the version of that day has left in its
streams and buckets. When the format of one of them changes, a file is added, and none is changed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Any, Final

import pytest

from testkit.once import OnceClient, OnceProbe
from testkit.parcels import (
    PARCELS_EVENTS_STREAM,
    Delivered,
    ParcelsClient,
    Recorder,
    parcel_streams,
)
from testkit.probe import Outcome, Run
from testkit.projections import COUNTS, NAME, TOTAL, remove_projection
from testkit.waiting import until
from testkit.wallets import builder as of_wallets
from testkit.wallets import wallets
from weenats import (
    FailedPreconditionError,
    NatsServiceBuilder,
    NatsTransport,
    ResourceExhaustedError,
)
from weenats.aggregates.snapshots import Snapshots
from weenats.events import consume
from weenats.idempotency.entries import decode_entry
from weenats.large import LargeObjects, Reference
from weenats.projections.builder import ProjectionBuilder
from weenats.projections.status import projection_status
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


async def test_shared_limits(own_nats_server: NatsServer, record: Record) -> None:
    """What instances of an earlier version have let pass counts."""
    (entry,) = record["KV_probe-limits"]
    level = json.loads(entry["payload"]) | {"time": time()}  # else it has drained since then
    entries = {"KV_probe-limits": [entry | {"payload": json.dumps(level)}]}
    builder = NatsServiceBuilder(OnceProbe(), own_nats_server.url)
    service = builder.with_rate_limit(0.001, 5, scope="service").build()
    async with service, OnceClient.connect(own_nats_server.url) as client:
        await restore(client.transport, entries, "KV_probe-limits")
        for _ in range(2):
            await client.run("k-1", Run(action="go"))
        with pytest.raises(ResourceExhaustedError):
            await client.run("k-1", Run(action="go"))


async def test_large_payloads(own_nats_server: NatsServer, record: Record) -> None:
    """A payload that a caller of an earlier version has stored is read."""
    stream, data = "OBJ_probe-large", b"a payload of an earlier version, in chunks"
    name = record[stream][0]["subject"].rpartition(".")[2]
    reference = Reference.read(f"{name} {len(data)} {sha256(data).hexdigest()}")
    assert reference is not None
    transport = NatsTransport(own_nats_server.url)
    objects = LargeObjects("probe", transport)
    await objects.open()
    await restore(transport, record, stream)
    assert await objects.get(reference) == data
    await transport.close()


async def test_projections(nats_url: str, record: Record) -> None:
    """A view is read as it is, and goes on from its position."""
    bucket, stream = f"KV_{NAME}-projection", PARCELS_EVENTS_STREAM.name
    await remove_projection(nats_url)
    async with parcel_streams(nats_url) as transport:
        await restore(transport, record, stream)
        await ProjectionBuilder(COUNTS, transport).create()
        info = await JetStream(transport).stream_info(stream)
        *values, catalog = record[bucket]
        generations = json.loads(catalog["payload"])
        for each in generations["generations"]:
            if "created" in each:  # with the first versions it is not
                each["created"] = info.created.isoformat()
        entries = [*values, catalog | {"payload": json.dumps(generations)}]
        await restore(transport, {bucket: entries}, bucket)
        [found] = await projection_status(COUNTS, transport)
        assert (found.number, found.state, found.position, found.lag) == (1, "live", 3, 0)
        async with COUNTS.run(transport) as counts:
            assert await (await counts.view()).get("p-1") == 3
            await ParcelsClient(transport).publish_delivered("p-1", Delivered(count=4))
            await counts.caught_up()
            assert await (await counts.view()).get(TOTAL) == 7
        [found] = await projection_status(COUNTS, transport)
        assert (found.number, found.position) == (1, 4)
    await remove_projection(nats_url)

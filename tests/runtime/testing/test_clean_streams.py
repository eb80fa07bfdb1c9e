"""The fixture `clean_streams`: each test has the streams of a contract for itself."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from typing import Any

import pytest

from testkit.parcels import CONTRACT, PARCELS_EVENTS_STREAM, Delivered, ParcelsClient, Recorder
from testkit.server_files import store_of
from testkit.waiting import LIMIT, eventually, until
from testkit.wallets import builder, client, wallets
from weenats import NatsTransport
from weenats.events import consume
from weenats.projections.bucket import STREAM
from weenats.streams.consumer_states import consumer_states
from weenats.testing import NatsServer
from weenats.testing import clean_streams as clean_streams_module
from weenats.testing.clean_streams import CleanStreams, clean_streams_on, renew_streams
from weenats.transport.jetstream import JetStream, StreamMissingError, bucket_config


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_begins_with_empty_streams(
    turn: int, clean_streams: CleanStreams, nats_url: str
) -> None:
    """The first event is the first of the stream, and a consumer begins with it."""
    clean_streams(CONTRACT)
    async with ParcelsClient.connect(nats_url) as parcels:
        assert await consumer_states(parcels.transport, PARCELS_EVENTS_STREAM) == []
        await parcels.publish_delivered("p-1", Delivered(count=turn))
        recorder = Recorder()
        async with await consume(parcels.transport, recorder, "billing"):
            await until(lambda: recorder.seen)
        assert recorder.seen == [("p-1", turn)]


async def test_streams_are_empty_beside_an_unfinished_removal(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a removed stream, which the server keeps meanwhile, do not come back."""
    checked: list[bool] = []
    are_new = clean_streams_module._are_new

    async def check(*arguments: Any) -> bool:
        checked.append(await are_new(*arguments))
        return checked[-1]

    monkeypatch.setattr(clean_streams_module, "_are_new", check)
    name = PARCELS_EVENTS_STREAM.name
    async with ParcelsClient.connect(own_nats_server.url) as parcels:
        await renew_streams(parcels.transport, CONTRACT)
        await parcels.publish_delivered("p-1", Delivered(count=1))
        [folder] = store_of(own_nats_server).glob(f"jetstream/*/streams/{name}")
        unfinished = folder.with_name(f".{name}") / "msgs"
        unfinished.mkdir(parents=True)
        renewal = asyncio.create_task(renew_streams(parcels.transport, CONTRACT))
        await eventually(lambda: checked == [True, False])
        shutil.rmtree(unfinished.parent)
        await renewal
        assert checked[-1]
        assert (await JetStream(parcels.transport).stream_info(name)).last_sequence == 0


async def test_nothing_of_the_service_is_left(nats_url: str) -> None:
    """Streams, kept aggregates and buckets are removed; those of other services stay."""
    transport = NatsTransport(nats_url)
    jetstream = JetStream(transport)
    with clean_streams_on(nats_url) as clean:
        clean(wallets.CONTRACT)
        clean(CONTRACT)
        async with builder(nats_url).build(), client(nats_url) as caller:
            await caller.deposit("w-1", wallets.Amount(cents=5))
        await jetstream.create_stream(bucket_config("wallets-once"))
        views = replace(bucket_config("views"), metadata={STREAM: "wallets-events"})
        await jetstream.create_stream(views)
        clean(wallets.CONTRACT)
        for name in ("KV_wallets-once", "wallets-commits", "KV_views"):
            with pytest.raises(StreamMissingError):
                await jetstream.stream_info(name)
        await jetstream.stream_info("wallets-events")
        await jetstream.stream_info("parcels-events")
    async with asyncio.timeout(LIMIT):
        names = {each.config.name for each in await jetstream.streams()}
    assert not {each for each in names if "wallets" in each or "parcels" in each}
    await transport.close()

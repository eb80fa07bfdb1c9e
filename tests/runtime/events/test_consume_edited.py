"""Consumers whose settings on the server were changed by somebody else."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from testkit.parcels import (
    PARCELS_EVENTS_STREAM,
    Delivered,
    ParcelsClient,
    Recorder,
    parcel_streams,
)
from testkit.waiting import ask_until, until
from weenats import FailedPreconditionError, NatsTransport
from weenats.events import consume
from weenats.streams.consumers import StreamConsumer
from weenats.streams.dead_letters import DeadLetter, DeadLetters
from weenats.transport.jetstream import (
    ConsumerConfig,
    JetStream,
    JetStreamRefusedError,
    StreamConfig,
)

STREAM = PARCELS_EVENTS_STREAM


async def fail_once(event: Any) -> None:
    """Fail with the first delivery of an event."""
    if event.attempt == 1:
        raise ValueError


async def listed(letters: DeadLetters) -> list[DeadLetter]:
    """Return the dead letters that there are."""
    return [each async for each in letters.list()]


@pytest.mark.parametrize(
    ("settings", "other"),
    [
        ({"max_deliver": 1}, {}),
        ({"backoff": (60.0,), "max_deliver": 2}, {}),
        ({"inactive_threshold": 60.0, "ack_wait": 5.0}, {}),
        ({}, {"headers_only": True}),
        ({}, {"max_batch": 1}),
        ({}, {"max_expires": 1_000_000_000}),
    ],
)
async def test_no_event_is_lost_after_the_next_start(
    nats_url: str, settings: dict[str, Any], other: dict[str, Any]
) -> None:
    """What decides about deliveries gets its value back; an operator's other settings stay."""
    async with parcel_streams(nats_url) as transport:
        jetstream, parcels = JetStream(transport), ParcelsClient(transport)
        part = StreamConsumer(transport, STREAM, "billing")
        await part.prepare("beginning", 30.0)
        for name in part.partition_names():
            config = (await jetstream.consumer_info(STREAM.name, name)).config
            changed = replace(config, description="ours", other={**config.other, **other})
            await jetstream.update_consumer(STREAM.name, replace(changed, **settings))

        recorder = Recorder(fail_once)
        async with await consume(transport, recorder, "billing", backoff=[0.01]):
            await parcels.publish_delivered("p-1", Delivered(count=1))
            await until(lambda: recorder.seen == [("p-1", 1)])
        info = await jetstream.consumer_info(STREAM.name, part.partition_name(0))
        assert (info.config.description, info.config.max_deliver) == ("ours", None)


@pytest.mark.parametrize(
    "settings",
    [
        None,
        {"max_deliver": 1},
        {"filters": ("parcels.stream.0.none",)},
        {"other": {"headers_only": True}},
        {"other": {"max_batch": 1}},
    ],
)
async def test_no_event_is_lost_while_instances_run(
    nats_url: str, settings: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer that is deleted or edited while it is in use is restored within a moment."""
    monkeypatch.setattr("weenats.events.pulling._PAUSE", 0.02)
    monkeypatch.setattr("weenats.streams.consumer_upkeep._INTERVAL", 0.02)
    monkeypatch.setattr("weenats.streams.consumer_upkeep._PATIENCE", 0.02)
    async with parcel_streams(nats_url) as transport:
        jetstream, parcels = JetStream(transport), ParcelsClient(transport)
        part = StreamConsumer(transport, STREAM, "billing")

        recorder = Recorder(fail_once)
        async with await consume(transport, recorder, "billing", backoff=[0.01]):
            await parcels.publish_delivered("p-1", Delivered(count=1))
            await until(lambda: ("p-1", 1) in recorder.seen)
            for name in part.partition_names():
                if settings is None:
                    await jetstream.delete_consumer(STREAM.name, name)
                    continue
                config = (await jetstream.consumer_info(STREAM.name, name)).config
                other = {**config.other, **settings.get("other", {})}
                changed = replace(config, **{**settings, "other": other})
                await jetstream.update_consumer(STREAM.name, changed)
            await parcels.publish_delivered("p-1", Delivered(count=2))
            await until(lambda: ("p-1", 2) in recorder.seen)


async def test_a_consumer_that_refuses_requests_is_reported(nats_url: str) -> None:
    """It is an error that names the setting, not an endless repetition."""
    transport = NatsTransport(nats_url)
    jetstream = JetStream(transport)
    await jetstream.create_stream(StreamConfig("refusing", ("refusing.>",)))
    await jetstream.create_consumer("refusing", ConsumerConfig("c", other={"max_batch": 1}))
    async with jetstream.pull("refusing", "c") as messages:
        with pytest.raises(JetStreamRefusedError, match="refuses: Exceeded MaxRequestBatch"):
            await anext(messages)
    await jetstream.delete_stream("refusing")
    await transport.close()


async def test_a_dead_letter_of_no_consumer_stays(nats_url: str) -> None:
    """It is not handed to a consumer that does not exist, where nothing would process it."""

    async def fail(_: object) -> None:
        raise ValueError

    async with parcel_streams(nats_url) as transport:
        letters, part = DeadLetters(transport, STREAM), StreamConsumer(transport, STREAM, "billing")
        await ParcelsClient(transport).publish_delivered("p-1", Delivered(count=1))
        async with await consume(transport, Recorder(fail), "billing", max_deliver=1):
            found = await ask_until(bool, partial(listed, letters))
        await part.delete()
        with pytest.raises(FailedPreconditionError, match="of the consumer billing, which is not"):
            await letters.retry(found[0])
        assert [each async for each in letters.list()] == found


async def test_a_dead_letter_that_was_dropped_comes_again_after_a_replay(nats_url: str) -> None:
    """An event that fails once more is a dead letter once more, also a moment later."""

    async def fail(_: object) -> None:
        raise ValueError

    async with parcel_streams(nats_url) as transport:
        letters, part = DeadLetters(transport, STREAM), StreamConsumer(transport, STREAM, "billing")

        await ParcelsClient(transport).publish_delivered("p-1", Delivered(count=1))
        for _ in range(3):
            async with await consume(transport, Recorder(fail), "billing", max_deliver=1):
                found = await ask_until(bool, partial(listed, letters))
            assert len(found) == 1
            await letters.drop(found[0])
            await part.delete()

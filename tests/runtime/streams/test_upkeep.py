"""Consumers that somebody edits or deletes while instances use them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from testkit.parcels import PARCELS_EVENTS_STREAM, parcel_streams
from testkit.waiting import ask_until
from weenats import NatsTransport, PermissionDeniedError
from weenats.streams import apply_streams, plan_streams
from weenats.streams.consumer_upkeep import ConsumerUpkeep
from weenats.streams.consumers import StreamConsumer
from weenats.transport.jetstream import ConsumerConfig, JetStream, PulledMessage

STREAM = replace(PARCELS_EVENTS_STREAM, name="parcels-events", partitions=1)
NAME = "billing-0"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weenats.streams.consumer_upkeep._PATIENCE", 0.0)


@pytest.fixture
async def transport(nats_url: str) -> AsyncIterator[NatsTransport]:
    """A connection to a server with the streams of parcels, of one partition."""
    async with parcel_streams(nats_url) as transport:
        await apply_streams(transport, await plan_streams(transport, [STREAM]))
        yield transport


async def publish(transport: NatsTransport, number: int) -> None:
    """Store a numbered event."""
    await JetStream(transport).publish("parcels.stream.0.parcel.shipped", b"%d" % number)


async def take(transport: NatsTransport) -> PulledMessage:
    """Return the next event of the consumer."""
    async with (
        asyncio.timeout(30),
        JetStream(transport).pull(STREAM.name, NAME, batch=1) as messages,
    ):
        return await anext(messages)


async def acknowledge(transport: NatsTransport, number: int) -> None:
    """Process the next event, which has to be this one."""
    message = await take(transport)
    assert message.payload == b"%d" % number
    message.ack()
    jetstream = JetStream(transport)
    await ask_until(
        lambda info: not info.unacknowledged, partial(jetstream.consumer_info, STREAM.name, NAME)
    )


async def edit(transport: NatsTransport, **settings: Any) -> None:
    """Change the consumer on the server, as an operator would."""
    jetstream = JetStream(transport)
    config = (await jetstream.consumer_info(STREAM.name, NAME)).config
    other = {**config.other, **settings.pop("other", {})}
    await jetstream.update_consumer(STREAM.name, replace(config, **settings, other=other))


async def started(transport: NatsTransport, start: Any = "beginning") -> ConsumerUpkeep:
    """Create the consumer, process event 1, and look at it."""
    part = StreamConsumer(transport, STREAM, "billing")
    await part.prepare(start, 30.0)
    upkeep = ConsumerUpkeep(transport, STREAM.name, part.configs(start, 30.0))
    await publish(transport, 1)
    await acknowledge(transport, 1)
    await upkeep._look()
    return upkeep


@pytest.mark.parametrize("start", ["beginning", "new"])
async def test_a_deleted_consumer_goes_on_where_it_was(
    transport: NatsTransport, start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What was processed at the last look is not delivered again, and nothing is left out."""
    upkeep = await started(transport, start)
    await publish(transport, 2)
    await JetStream(transport).delete_consumer(STREAM.name, NAME)
    await publish(transport, 3)
    await upkeep._look()
    assert "created the consumer billing-0 of parcels-events again, from 2 on" in caplog.text
    await acknowledge(transport, 2)
    await acknowledge(transport, 3)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_deliver": 1},
        {"filters": ("parcels.stream.0.parcel.lost",)},
        {"other": {"headers_only": True}},
    ],
)
async def test_an_event_that_an_edit_has_lost_comes_again(
    transport: NatsTransport, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Settings with which the server leaves events out cost none of them."""
    upkeep = await started(transport)
    await edit(transport, description="ours", **settings)
    await publish(transport, 2)
    if "filters" not in settings:
        (await take(transport)).nak()
    await upkeep._look()
    [changed] = settings.get("other", settings)
    assert f"changed the consumer billing-0 of parcels-events: {changed}" in caplog.text
    await acknowledge(transport, 2)
    config = (await JetStream(transport).consumer_info(STREAM.name, NAME)).config
    assert (config.description, config.max_deliver) == ("ours", None)
    assert not config.other.get("headers_only")


@pytest.mark.parametrize(
    "settings", [{"ack_wait": 1.0}, {"max_ack_pending": 9}, {"other": {"max_batch": 1}}]
)
async def test_other_edits_are_undone_in_place(
    transport: NatsTransport, settings: dict[str, Any]
) -> None:
    """The consumer stays where it is, with an event in work."""
    upkeep = await started(transport)
    await publish(transport, 2)
    message = await take(transport)
    await edit(transport, **settings)
    await upkeep._look()
    info = await JetStream(transport).consumer_info(STREAM.name, NAME)
    assert (info.config.ack_wait, info.config.max_ack_pending) == (30.0, 1)
    assert "max_batch" not in info.config.other
    assert info.unacknowledged == 1
    message.ack()


async def test_instances_with_another_ack_wait_do_not_take_turns(transport: NatsTransport) -> None:
    """During a deployment the longest one is kept."""
    upkeep = await started(transport)
    await edit(transport, ack_wait=60.0)
    await upkeep._look()
    assert (await JetStream(transport).consumer_info(STREAM.name, NAME)).config.ack_wait == 60


async def test_a_new_stream_is_read_from_its_beginning(transport: NatsTransport) -> None:
    """The progress in a stream that was deleted says nothing about another one of its name."""
    upkeep = await started(transport, "new")
    await JetStream(transport).delete_stream(STREAM.name)
    await apply_streams(transport, await plan_streams(transport, [STREAM]))
    await publish(transport, 2)
    await upkeep._look()
    await acknowledge(transport, 2)


async def test_an_event_that_is_lost_for_good_is_reported(
    transport: NatsTransport, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A user who may not delete the consumer gets its settings back, and reads from where."""

    async def denied(*_: object) -> None:
        raise PermissionDeniedError

    monkeypatch.setattr(JetStream, "delete_consumer", denied)
    upkeep = await started(transport)
    await edit(transport, max_deliver=1)
    await upkeep._look()
    assert "may be lost" in caplog.text
    assert "let it begin again after 1" in caplog.text
    config = (await JetStream(transport).consumer_info(STREAM.name, NAME)).config
    assert config.max_deliver is None


async def test_a_consumer_that_cannot_be_updated_is_made_anew(transport: NatsTransport) -> None:
    """One that somebody has made by hand, without acknowledgements, is replaced."""
    upkeep = await started(transport)
    jetstream = JetStream(transport)
    await jetstream.delete_consumer(STREAM.name, NAME)
    await jetstream.create_consumer(STREAM.name, ConsumerConfig(NAME, acknowledgement="none"))
    await publish(transport, 2)
    await upkeep._look()
    await acknowledge(transport, 2)

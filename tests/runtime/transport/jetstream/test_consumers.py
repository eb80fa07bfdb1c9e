"""Consumers: create, inspect, update, delete."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from weenats import AlreadyExistsError
from weenats.transport.jetstream import (
    ConsumerConfig,
    ConsumerMissingError,
    JetStream,
    StreamMissingError,
)

CONFIGS = [
    ConsumerConfig(
        "c",
        ("{stream}.a",),
        start=7,
        ack_wait=12.5,
        max_ack_pending=1,
        max_deliver=4,
        backoff=(1.0, 2.5),
        description="For a test.",
        metadata={"owner": "billing"},
    ),
    ConsumerConfig("c", ("{stream}.a", "{stream}.b"), start=datetime(2026, 1, 2, 3, tzinfo=UTC)),
    ConsumerConfig(
        "c", start="new", durable=False, inactive_threshold=30.0, memory=True, replicas=1
    ),
    ConsumerConfig("c", ("{stream}.a",), start="last-per-subject", acknowledgement="none"),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda each: str(each.start))
async def test_a_consumer_has_its_settings(
    jetstream: JetStream, stream: str, config: ConsumerConfig
) -> None:
    """All settings come back as they were given."""
    filters = tuple(each.format(stream=stream) for each in config.filters)
    config = replace(config, filters=filters)
    info = await jetstream.create_consumer(stream, config)
    found = replace(info.config, other={})
    if config.backoff:
        found = replace(found, ack_wait=12.5)  # the server has the first pause in its place
    if config.acknowledgement == "none":
        found = replace(found, ack_wait=30.0, max_ack_pending=1000)
    assert found == config
    assert (await jetstream.consumer_info(stream, "c")).config == info.config


async def test_a_consumer_is_created_once(jetstream: JetStream, stream: str) -> None:
    """Equal settings are no error, other ones are; an update changes them."""
    config = ConsumerConfig("c", max_ack_pending=1)
    await jetstream.create_consumer(stream, config)
    await jetstream.create_consumer(stream, config)
    with pytest.raises(AlreadyExistsError, match=f"c of {stream}"):
        await jetstream.create_consumer(stream, replace(config, ack_wait=5.0))
    info = await jetstream.consumer_info(stream, "c")
    updated = await jetstream.update_consumer(stream, replace(info.config, ack_wait=5.0))
    assert updated.config.ack_wait == 5.0


async def test_missing_consumers_and_streams_are_named(jetstream: JetStream, stream: str) -> None:
    """Each method says what is missing."""
    config = ConsumerConfig("c")
    with pytest.raises(ConsumerMissingError, match=f"c of {stream}"):
        await jetstream.consumer_info(stream, "c")
    with pytest.raises(ConsumerMissingError):
        await jetstream.delete_consumer(stream, "c")
    with pytest.raises(ConsumerMissingError):
        await jetstream.update_consumer(stream, config)
    with pytest.raises(StreamMissingError):
        await jetstream.create_consumer("no-such-stream", config)


async def test_a_consumer_counts_what_is_left(jetstream: JetStream, stream: str) -> None:
    """Its state has what is pending, delivered and acknowledged."""
    for _ in range(3):
        await jetstream.publish(f"{stream}.a", b"")
    info = await jetstream.create_consumer(stream, ConsumerConfig("c", max_ack_pending=1))
    assert (info.pending, info.delivered, info.unacknowledged) == (3, 0, 0)
    async with jetstream.pull(stream, "c") as messages:
        await anext(messages)
        info = await jetstream.consumer_info(stream, "c")
        assert (info.pending, info.delivered, info.unacknowledged) == (2, 1, 1)
        assert info.acknowledged == 0
    await jetstream.delete_consumer(stream, "c")

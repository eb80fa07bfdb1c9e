"""The streams of MemoryTransport behave like those of a server, as far as they go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from testkit.parcels import CONTRACT, SHIPPED, Recorder
from weenats import AlreadyExistsError, NotFoundError
from weenats.events import consume, consuming, read_events
from weenats.streams import apply_streams, plan_streams
from weenats.testing import MemoryTransport
from weenats.transport.jetstream import (
    ConsumerConfig,
    JetStream,
    JetStreamRefusedError,
    StreamConfig,
    StreamMissingError,
    WrongSequenceError,
    WrongStreamError,
)

NEEDS_SERVER = "keeps no events for consumers and readers: use weenats.testing.NatsServer"


@pytest.fixture
def jetstream(either_jetstream: JetStream) -> JetStream:
    """JetStream of the shared server, and that in memory."""
    return either_jetstream


async def test_streams_are_created_changed_and_deleted(jetstream: JetStream) -> None:
    """An equal stream is left alone, another one of the name refused; a deleted one is missing."""
    config = StreamConfig(uuid4().hex, (f"{uuid4().hex}.*",))
    for _ in range(2):
        info = await jetstream.create_stream(config)
    assert (info.config.subjects, info.config.replicas) == (config.subjects, 1)
    with pytest.raises(AlreadyExistsError):
        await jetstream.create_stream(replace(config, description="other"))
    await jetstream.update_stream(replace(config, description="other"))
    assert (await jetstream.stream_info(config.name)).config.description == "other"
    await jetstream.delete_stream(config.name)
    with pytest.raises(StreamMissingError):
        await jetstream.stream_info(config.name)


async def test_messages_are_stored_as_expected(jetstream: JetStream, stream_of: str) -> None:
    """Expected sequences and streams are checked, and a repeated id is stored once."""
    subject = f"{stream_of}.a"
    first = await jetstream.publish(subject, b"1", b"A: b\r\n", message_id="m-1")
    again = await jetstream.publish(subject, b"1", message_id="m-1")
    assert (first.duplicate, again.duplicate, again.sequence) == (False, True, first.sequence)
    with pytest.raises(WrongStreamError):
        await jetstream.publish(subject, b"2", stream="other")
    with pytest.raises(WrongSequenceError) as raised:
        await jetstream.publish(subject, b"2", expected_last_subject_sequence=0)
    assert raised.value.last == first.sequence
    second = await jetstream.publish(f"{stream_of}.b", b"2", expected_last_subject_sequence=0)
    assert (await jetstream.last(stream_of, subject)).headers["a"] == "b"
    assert (await jetstream.last(stream_of, f"{stream_of}.*", leader=True)).payload == b"2"
    assert (await jetstream.next(stream_of, f"{stream_of}.b", start=1)).payload == b"2"
    with pytest.raises(NotFoundError):
        await jetstream.next(stream_of, subject, start=second.sequence)
    assert [each.sequence async for each in jetstream.read(stream_of)] == [1, second.sequence]
    assert [each.payload async for each in jetstream.read(stream_of, subject)] == [b"1"]


async def test_messages_are_removed(jetstream: JetStream, stream_of: str) -> None:
    """Deleted and purged messages are not found; sequences go on."""
    for token in "aab":
        await jetstream.publish(f"{stream_of}.{token}", b"")
    await jetstream.delete_message(stream_of, 2)
    with pytest.raises(NotFoundError):
        await jetstream.get(stream_of, 2)
    with pytest.raises(NotFoundError):
        await jetstream.last(stream_of, f"{stream_of}.c", leader=True)
    assert await jetstream.purge(stream_of, f"{stream_of}.a") == 1
    info = await jetstream.stream_info(stream_of)
    assert (info.messages, info.first_sequence, info.last_sequence) == (1, 3, 3)


async def test_consumers_are_refused_in_memory() -> None:
    """The error says that there are none."""
    transport = MemoryTransport()
    jetstream = JetStream(transport)
    await jetstream.create_stream(StreamConfig("s", ("s.*",)))
    with pytest.raises(JetStreamRefusedError, match="is not available in memory"):
        await jetstream.streams()
    with pytest.raises(JetStreamRefusedError, match=NEEDS_SERVER):
        await jetstream.create_consumer("s", ConsumerConfig("c"))
    await transport.close()


@pytest.mark.parametrize("applied", [False, True])
async def test_consuming_in_memory_fails_at_once(applied: bool) -> None:
    """Consumers, loops and readers fail with what they need, whether the streams exist or not."""
    transport = MemoryTransport()
    if applied:
        await apply_streams(transport, await plan_streams(transport, CONTRACT.streams))
    error = JetStreamRefusedError if applied else StreamMissingError
    with pytest.raises(error, match=NEEDS_SERVER):
        await consume(transport, Recorder(), "billing")
    with pytest.raises(error, match=NEEDS_SERVER):
        async with consuming(transport, "billing", SHIPPED):
            pass
    with pytest.raises(error, match=NEEDS_SERVER):
        async for _ in read_events(transport, SHIPPED):
            pass
    await transport.close()


@pytest.fixture
async def stream_of(jetstream: JetStream) -> AsyncIterator[str]:
    """An empty stream, which stores the subjects below its name."""
    name = uuid4().hex
    await jetstream.create_stream(StreamConfig(name, (f"{name}.>",), storage="memory"))
    yield name
    await jetstream.delete_stream(name)

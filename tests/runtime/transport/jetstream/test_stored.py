"""Stored messages: by sequence, the last one of a subject, all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from weenats import NotFoundError
from weenats.testing import MemoryBroker, MemoryTransport
from weenats.transport.jetstream import (
    BatchMessage,
    JetStream,
    JetStreamUnavailableError,
    StreamConfig,
    StreamMissingError,
    publish_batch,
)


async def test_a_message_is_found_by_its_sequence(jetstream: JetStream, stream: str) -> None:
    """It has its subject, payload, headers, sequence and time."""
    ack = await jetstream.publish(f"{stream}.a", b"\x00{}", b"Trace: 1\r\n")
    message = await jetstream.get(stream, ack.sequence)
    assert (message.subject, message.payload) == (f"{stream}.a", b"\x00{}")
    assert (message.stream, message.sequence) == (stream, 1)
    assert message.headers["trace"] == "1"
    assert abs(message.time - datetime.now(UTC)) < timedelta(minutes=1)
    assert repr(message) == f"<StoredMessage 1 of {stream}: {stream}.a>"


@pytest.mark.parametrize("leader", [False, True])
async def test_the_last_message_of_a_subject(
    jetstream: JetStream, stream: str, leader: bool
) -> None:
    """The leader and any replica have it, with equal parts."""
    await jetstream.publish(f"{stream}.a", b"1")
    await jetstream.publish(f"{stream}.a", b"2", b"Trace: 1\r\n")
    await jetstream.publish(f"{stream}.b", b"3")
    message = await jetstream.last(stream, f"{stream}.a", leader=leader)
    assert (message.sequence, message.payload, message.headers["Trace"]) == (2, b"2", "1")
    assert message.time == (await jetstream.get(stream, 2)).time
    with pytest.raises(NotFoundError):
        await jetstream.last(stream, f"{stream}.c", leader=leader)


async def test_a_deleted_message_is_not_found(jetstream: JetStream, stream: str) -> None:
    """Neither by its sequence, nor to delete it again."""
    await jetstream.publish(f"{stream}.a", b"")
    await jetstream.delete_message(stream, 1)
    with pytest.raises(NotFoundError):
        await jetstream.get(stream, 1)
    with pytest.raises(NotFoundError):
        await jetstream.delete_message(stream, 1)


async def test_all_messages_are_read_in_batches(
    jetstream: JetStream, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All matching ones come in order, from the wanted sequence on, also none."""
    monkeypatch.setattr("weenats.transport.jetstream.client._READ_BATCH", 3)
    for number in range(10):
        await jetstream.publish(f"{stream}.{'ab'[number % 2]}", b"%d" % number)
    assert [each.sequence async for each in jetstream.read(stream)] == list(range(1, 11))
    wanted = [each.payload async for each in jetstream.read(stream, f"{stream}.b", start=4)]
    assert wanted == [b"3", b"5", b"7", b"9"]
    assert [each async for each in jetstream.read(stream, f"{stream}.c")] == []


async def test_missing_streams_cannot_be_read(jetstream: JetStream, stream: str) -> None:
    """Neither can those that allow no direct access."""
    info = await jetstream.stream_info(stream)
    await jetstream.update_stream(replace(info.config, allow_direct=False))
    for name in ("no-such-stream", stream):
        with pytest.raises(StreamMissingError, match=name):
            await jetstream.get(name, 1)
        with pytest.raises(StreamMissingError, match=name):
            await anext(jetstream.read(name))


@pytest.mark.parametrize(
    "ask",
    [
        lambda each: anext(each.read("any")),
        lambda each: each.get("any", 1),
        lambda each: each.stream_info("any"),
        lambda each: each.create_stream(StreamConfig("any")),
    ],
)
async def test_silence_is_unavailable(ask: Callable[[JetStream], Awaitable[object]]) -> None:
    """JetStream without a leader does not answer: the error says so within the time limit."""
    transport = MemoryTransport(MemoryBroker(jetstream=False))
    await transport.connect()
    transport.subscribe("$JS.API.>", lambda _: None)
    with pytest.raises(JetStreamUnavailableError, match="any: JetStream does not answer"):
        await ask(JetStream(transport, timeout=0.01))
    await transport.close()


async def test_silence_after_a_batch_is_unavailable() -> None:
    """A batch that is not acknowledged, and may be stored, is UNAVAILABLE."""
    transport = MemoryTransport(MemoryBroker(jetstream=False))
    await transport.connect()
    transport.subscribe("$KV.any.>", lambda _: None)
    with pytest.raises(JetStreamUnavailableError, match="JetStream does not answer"):
        await publish_batch(transport, [BatchMessage("$KV.any.k", b"")], 0.01)
    await transport.close()

"""Answers that do not come from JetStream: somebody else of the account subscribes to its API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from weenats import ServiceError
from weenats.testing import MemoryBroker, MemoryTransport
from weenats.transport.jetstream import (
    BatchMessage,
    ConsumerConfig,
    JetStream,
    StreamConfig,
    publish_batch,
)

ANSWERS = [
    b"{}",
    b"null",
    b"[" * 100_000,
    b'{"error": 1}',
    b'{"error": {"err_code": [], "code": {}}}',
    b'{"streams": [1], "consumers": [{}], "total": 2}',
    b'{"streams": {"a": 1}, "consumers": 1, "total": "x"}',
    b'{"config": {}, "state": {}, "message": {}, "stream": "s"}',
    b'{"config": [], "state": [], "stream": "s", "seq": "1", "count": 2, "purged": []}',
    b'{"message": {"data": "!", "seq": 1, "subject": 1}, "stream": 1, "seq": 1e400}',
]


async def read(jetstream: JetStream) -> None:
    """Read all messages of a stream."""
    async for _ in jetstream.read("s"):
        pass


ASK: list[Callable[[JetStream], Awaitable[object]]] = [
    lambda each: each.stream_info("s"),
    lambda each: each.create_stream(StreamConfig("s")),
    lambda each: each.consumer_info("s", "c"),
    lambda each: each.create_consumer("s", ConsumerConfig("c")),
    lambda each: each.publish("s.a", b""),
    lambda each: each.get("s", 1),
    lambda each: each.last("s", "s.a", leader=True),
    lambda each: each.key_value("b").get("k"),
    read,
]


@pytest.fixture
async def asked() -> tuple[MemoryTransport, list[bytes]]:
    """A connection to a broker where a stranger answers for JetStream, and what it says."""
    stranger = MemoryTransport(MemoryBroker(jetstream=False))
    answer = [b""]

    def reply(delivery: Any) -> None:
        if delivery.reply:
            stranger.publish(delivery.reply, answer[0])

    await stranger.connect()
    for subject in ("$JS.API.>", "s.>"):
        stranger.subscribe(subject, reply)
    return MemoryTransport(stranger.broker), answer


@pytest.mark.parametrize("answer", ANSWERS)
async def test_malformed_answers_are_service_errors(
    asked: tuple[MemoryTransport, list[bytes]], answer: bytes
) -> None:
    """Whatever the answer is, callers get an error that they expect."""
    transport, answers = asked
    answers[0] = answer
    jetstream = JetStream(transport)
    for ask in ASK:
        with pytest.raises(ServiceError):
            await ask(jetstream)
    with pytest.raises(ServiceError):
        await publish_batch(transport, [BatchMessage("s.a", b""), BatchMessage("s.b", b"")], 5)
    for listing in (jetstream.streams(), jetstream.consumers("s"), jetstream.purge("s")):
        try:
            assert not await listing
        except ServiceError:
            continue

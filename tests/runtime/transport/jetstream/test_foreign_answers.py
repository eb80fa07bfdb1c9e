"""Answers that do not come from JetStream: typed errors, whatever is in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from testkit.waiting import LIMIT
from weenats import ServiceError
from weenats.testing import MemoryBroker, MemoryTransport
from weenats.transport import Delivery
from weenats.transport.jetstream import JetStream, JetStreamUnavailableError, StreamConfig

BODIES = [
    b"",
    b"garbage",
    b"[]",
    b"{}",
    b'{"error":5}',
    b'{"error":{"code":[],"err_code":[],"description":5}}',
    b'{"config":5,"state":5}',
    b'{"config":{"name":"x"},"state":{"messages":"x"}}',
    b'{"stream":"x","seq":"y"}',
    b'{"streams":[5],"consumers":[5],"total":1}',
    b'{"purged":"x"}',
    b'{"message":{"subject":5,"seq":"x","data":"*","time":"x"}}',
]
HEADERS = [
    b"",
    b"Nats-Sequence: x\r\nNats-Time-Stamp: y\r\nNats-Subject: z\r\nNats-Stream: s\r\n",
    b"NATS/1.0 204 EOB\r\nNats-Num-Pending: x\r\n\r\n",
    b"NATS/1.0 204 EOB\r\nNats-Num-Pending: 5\r\n\r\n",
]


async def _read(jetstream: JetStream) -> None:
    async for _ in jetstream.read("x", "y"):
        pass


REQUESTS: list[Callable[[JetStream], Awaitable[object]]] = [
    lambda js: js.create_stream(StreamConfig("x", ("x.>",))),
    lambda js: js.stream_info("x"),
    lambda js: js.streams(),
    lambda js: js.purge("x"),
    lambda js: js.consumers("x"),
    lambda js: js.consumer_info("x", "y"),
    lambda js: js.publish("x.y", b""),
    lambda js: js.get("x", 1),
    lambda js: js.last("x", "y", leader=True),
    _read,
]


@pytest.fixture
async def transport() -> AsyncIterator[MemoryTransport]:
    """A connection without JetStream."""
    transport = MemoryTransport(MemoryBroker(jetstream=False))
    await transport.connect()
    yield transport
    await transport.close()


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("body", BODIES)
async def test_foreign_answer(transport: MemoryTransport, body: bytes, headers: bytes) -> None:
    """It raises an error of weenats, or says nothing that matters."""
    for subject in ("$JS.API.>", "x.>"):
        transport.subscribe(subject, lambda each: transport.publish(each.reply, body, headers))
    for request in REQUESTS:
        with suppress(ServiceError):
            await request(JetStream(transport, timeout=0.05))


async def test_read_whose_messages_do_not_advance(transport: MemoryTransport) -> None:
    """It ends with an error, and not never."""
    lines = (
        b"Nats-Sequence: 1\r\nNats-Time-Stamp: 2026-01-01T00:00:00Z\r\nNats-Subject: y\r\n"
        b"Nats-Stream: x\r\n"
    )

    def answer(delivery: Any) -> None:
        for _ in range(3):
            transport.publish(delivery.reply, b"", lines)

    transport.subscribe("$JS.API.>", answer)
    messages = JetStream(transport).read("x")
    assert (await anext(messages)).sequence == 1
    with pytest.raises(ServiceError, match="does not come from JetStream"):
        await anext(messages)


async def test_question_without_a_leader(
    transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JetStream is asked again until the leader that is elected answers, or the time is over."""
    monkeypatch.setattr("weenats.transport.jetstream.client._AGAIN", 0.01)
    refusal = b'{"error":{"code":503,"err_code":10008,"description":"unavailable for a while"}}'
    found = b'{"total":1,"streams":[]}'
    answers = [b"", b"", refusal, refusal, b"", found]

    def answer(delivery: Delivery) -> None:
        if text := answers.pop(0) if len(answers) > 1 else answers[0]:
            transport.publish(delivery.reply, text)

    transport.subscribe("$JS.API.STREAM.LIST", answer)
    assert await JetStream(transport, LIMIT).streams() == []
    assert len(answers) == 1
    answers[:] = [refusal]
    with pytest.raises(JetStreamUnavailableError, match="unavailable for a while"):
        await JetStream(transport, timeout=0.05).streams()
    answers[:] = [b""]
    with pytest.raises(JetStreamUnavailableError, match="may have no leader now"):
        await JetStream(transport, timeout=0.05).streams()

"""Messages of a consumer for one reader at a time: order, other readers, lost acks."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import pytest

from testkit.waiting import answered, ask_until, eventually
from weenats import NatsTransport
from weenats.testing import NatsServer
from weenats.transport.base import Delivery
from weenats.transport.jetstream import (
    ConsumerConfig,
    ExclusivePull,
    JetStream,
    PulledMessage,
    StreamConfig,
    for_one_reader,
    is_exclusive,
)
from weenats.transport.jetstream.api import call

pytestmark = pytest.mark.usefixtures("quick")
CONSUMER = ConsumerConfig("c", ack_wait=600, max_ack_pending=20)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give frequent signs of life; the server does not choose another reader on its own."""
    monkeypatch.setattr("weenats.transport.jetstream.pinned_pull._PIN_TIMEOUT", 600.0)
    monkeypatch.setattr("weenats.transport.jetstream.pinned_pull._EXPIRES", 0.3)
    monkeypatch.setattr("weenats.transport.jetstream.pinned_pull._HEARTBEAT", 0.1)
    monkeypatch.setattr("weenats.transport.jetstream.pinned_pull._CHECK_AGAIN", 0.01)


@pytest.fixture
async def consumer(jetstream: JetStream, stream: str, quick: None) -> str:
    """A consumer of the stream."""
    del quick
    await jetstream.create_consumer(stream, for_one_reader(CONSUMER))
    return "c"


async def publish(jetstream: JetStream, stream: str, first: int, last: int) -> None:
    """Publish numbered messages."""
    for each in range(first, last + 1):
        number = b"%d" % each
        await answered(partial(jetstream.publish, f"{stream}.a", number, message_id=str(each)))


async def take(pull: ExclusivePull, number: int, *, ack: bool = True) -> list[int]:
    """Return the sequences of the next messages, each one once, which are acknowledged or not."""
    taken: dict[int, PulledMessage] = {}
    async with asyncio.timeout(30):
        while len(taken) < number:
            messages = await pull.take()
            taken |= {each.sequence: each for each in messages if each.sequence not in taken}
            if ack:
                messages[-1].ack()
    return list(taken)


def reader(jetstream: JetStream, stream: str) -> ExclusivePull:
    """Return a reader."""
    return jetstream.exclusive_pull(stream, "c", batch=32)


async def test_settings_are_recognized(jetstream: JetStream, stream: str, consumer: str) -> None:
    """An older server would leave them out."""
    info = await jetstream.consumer_info(stream, consumer)
    assert is_exclusive(info.config)
    assert not is_exclusive(CONSUMER)


@pytest.mark.usefixtures("consumer")
async def test_messages_come_in_order(jetstream: JetStream, stream: str) -> None:
    """Many more than are on their way at a time."""
    async with reader(jetstream, stream) as messages:
        await publish(jetstream, stream, 1, 100)
        assert await take(messages, 100) == list(range(1, 101))


@pytest.mark.usefixtures("consumer")
async def test_another_reader_goes_on_at_once(jetstream: JetStream, stream: str) -> None:
    """It gets nothing before the first one ends, and then what that did not acknowledge."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(reader(jetstream, stream))
        await publish(jetstream, stream, 1, 2)
        assert await take(first, 2) == [1, 2]
        second = await stack.enter_async_context(reader(jetstream, stream))
        await publish(jetstream, stream, 3, 5)
        await eventually(lambda: len(first._arrived) == 3)
        await first.close()
        assert await take(second, 3) == [3, 4, 5]
        assert second.turn == 1


@pytest.mark.usefixtures("consumer")
async def test_reader_that_left_is_not_pinned(jetstream: JetStream, stream: str) -> None:
    """The next message goes to the next reader, though the last one left without any."""
    async with reader(jetstream, stream):
        pass
    await publish(jetstream, stream, 1, 1)
    async with reader(jetstream, stream) as messages:
        assert await take(messages, 1) == [1]


async def test_silent_reader_is_replaced(
    jetstream: JetStream, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it did not acknowledge comes before what is new, and it does not rely on its turn."""
    monkeypatch.setattr("weenats.transport.jetstream.pinned_pull._PIN_TIMEOUT", 1.0)
    await jetstream.create_consumer(stream, for_one_reader(replace(CONSUMER, ack_wait=0.5)))
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(reader(jetstream, stream))
        await publish(jetstream, stream, 1, 4)
        assert await take(first, 4, ack=False) == [1, 2, 3, 4]
        assert first._subscription is not None
        first._request = lambda: None  # type: ignore[method-assign]  # as if its process had died
        await jetstream._transport.unsubscribe([first._subscription])
        second = await stack.enter_async_context(reader(jetstream, stream))
        await publish(jetstream, stream, 5, 8)
        assert await take(second, 8) == [1, 2, 3, 4, 5, 6, 7, 8]
        assert not first.holds(1)


async def test_reader_whose_turn_was_ended(jetstream: JetStream, stream: str) -> None:
    """It begins a new one, with what it has not acknowledged."""
    await jetstream.create_consumer(stream, for_one_reader(replace(CONSUMER, ack_wait=0.5)))
    async with reader(jetstream, stream) as messages:
        await publish(jetstream, stream, 1, 3)
        assert await take(messages, 3, ack=False) == [1, 2, 3]
        operation = f"CONSUMER.UNPIN.{stream}.c"
        await call(jetstream._transport, operation, {"group": "one"}, what="c", timeout=5)
        await publish(jetstream, stream, 4, 5)  # the first three come again after `ack_wait`
        assert await take(messages, 5) == [1, 2, 3, 4, 5]
        assert messages.turn == 2
        assert not messages.holds(1)


async def test_lost_ack_is_repeated(jetstream: JetStream, stream: str) -> None:
    """What was taken does not come again in the same turn."""
    await jetstream.create_consumer(stream, for_one_reader(replace(CONSUMER, ack_wait=0.5)))
    async with reader(jetstream, stream) as messages:
        await publish(jetstream, stream, 1, 3)
        assert await take(messages, 3, ack=False) == [1, 2, 3]
        await eventually(lambda: len(messages._arrived) == 3)  # after `ack_wait`
        await publish(jetstream, stream, 4, 4)
        assert await take(messages, 1) == [4]
        await ask_until(
            lambda info: not info.unacknowledged, partial(jetstream.consumer_info, stream, "c")
        )


async def test_lost_message_comes_before_later_ones(
    jetstream: JetStream, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What gets lost on the way is waited for, and what was taken before is not relied on."""
    await jetstream.create_consumer(stream, for_one_reader(replace(CONSUMER, ack_wait=0.5)))
    deliver, lost = ExclusivePull._on_delivery, list[Delivery]()

    def lose(pull: ExclusivePull, delivery: Delivery) -> None:
        if delivery.payload == b"2" and not lost:
            lost.append(delivery)
        else:
            deliver(pull, delivery)

    monkeypatch.setattr(ExclusivePull, "_on_delivery", lose)
    async with reader(jetstream, stream) as messages:
        await publish(jetstream, stream, 1, 1)
        assert await take(messages, 1) == [1]
        await publish(jetstream, stream, 2, 4)
        assert await take(messages, 3) == [2, 3, 4]
        assert not messages.holds(1)
    assert lost


async def test_reader_goes_on_after_a_restart(own_nats_server: NatsServer) -> None:
    """No message is lost when the server restarts."""
    transport = NatsTransport(own_nats_server.url)
    jetstream = JetStream(transport)
    await jetstream.create_stream(StreamConfig("s", ("s.>",)))
    await jetstream.create_consumer("s", for_one_reader(CONSUMER))
    async with reader(jetstream, "s") as messages:
        await publish(jetstream, "s", 1, 5)
        assert await take(messages, 5) == [1, 2, 3, 4, 5]
        own_nats_server.restart()
        await publish(jetstream, "s", 6, 9)
        taken: list[int] = []
        async with asyncio.timeout(30):
            while 9 not in taken:  # before them what was acknowledged too late, perhaps
                taken += await take(messages, 1)
        assert [each for each in taken if each > 5] == [6, 7, 8, 9]
    await transport.close()


@pytest.mark.usefixtures("consumer")
async def test_reader_whose_place_another_one_took(jetstream: JetStream, stream: str) -> None:
    """Once the server has refused it messages, it does not rely on its turn."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(reader(jetstream, stream))
        await publish(jetstream, stream, 1, 2)
        assert await take(first, 2) == [1, 2]
        second = await stack.enter_async_context(reader(jetstream, stream))
        first._begin_turn("another")  # as if the server had pinned another one
        assert first.holds(2)
        first._outstanding = 0
        first._request()
        await eventually(lambda: not first.holds(2))
        assert not second.turn


@pytest.mark.usefixtures("consumer")
async def test_requests_without_answer_hold_nothing(
    jetstream: JetStream, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that the server of the consumer does not answer does not rely on its turn."""
    async with reader(jetstream, stream) as messages:
        await publish(jetstream, stream, 1, 2)
        assert await take(messages, 2) == [1, 2]
        assert messages.holds(1)
        monkeypatch.setattr(messages, "_on_delivery", lambda _: None)
        messages._heard = float("-inf")  # long ago
        messages._terms(1)
        assert not messages.holds(1)

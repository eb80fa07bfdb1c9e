"""Messages of a consumer: order, settling, restarts, the end."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import count

import pytest

from testkit.waiting import answered, ask_until, cancel_call, eventually, until
from weenats import ConnectionClosedError, ConnectionOptions, NatsTransport
from weenats.testing import NatsServer
from weenats.transport.jetstream import (
    ConsumerConfig,
    ConsumerMissingError,
    JetStream,
    Pull,
    PulledMessage,
    StreamConfig,
    StreamMissingError,
)


async def take(pull: Pull, number: int) -> list[PulledMessage]:
    """Return messages, which are acknowledged."""
    taken: list[PulledMessage] = []
    async with asyncio.timeout(30):
        while len(taken) < number:
            message = await anext(pull)
            message.ack()
            taken.append(message)
    return taken


async def publish(jetstream: JetStream, stream: str, number: int) -> None:
    """Publish numbered messages."""
    for each in range(number):
        await jetstream.publish(f"{stream}.a", b"%d" % each)


async def publish_again(jetstream: JetStream, payload: bytes) -> None:
    """Publish a message until it is stored."""
    await answered(partial(jetstream.publish, "s.a", payload, message_id=payload.decode()))


async def test_messages_come_in_order(jetstream: JetStream, stream: str) -> None:
    """More messages than a batch arrive in order, with their parts."""
    await publish(jetstream, stream, 25)
    await jetstream.create_consumer(stream, ConsumerConfig("c"))
    async with jetstream.pull(stream, "c", batch=4) as messages:
        taken = await take(messages, 25)
    assert [each.sequence for each in taken] == list(range(1, 26))
    first = taken[0]
    assert (first.stream, first.consumer, first.attempt, first.pending) == (stream, "c", 1, 24)
    assert first.time == (await jetstream.get(stream, 1)).time
    assert first.is_settled


async def test_a_message_is_repeated_until_it_is_settled(jetstream: JetStream, stream: str) -> None:
    """It comes again after nak and after ack_wait; not after term or while it is in progress."""
    await publish(jetstream, stream, 2)
    config = ConsumerConfig("c", max_ack_pending=1, ack_wait=0.2)
    await jetstream.create_consumer(stream, config)
    async with jetstream.pull(stream, "c") as messages, asyncio.timeout(30):
        seen = [await anext(messages)]
        seen[-1].nak()
        seen.append(await anext(messages))
        seen[-1].nak(delay=0.01)
        seen.append(await anext(messages))
        seen[-1].in_progress()
        seen.append(await anext(messages))  # after ack_wait
        seen[-1].term()
        last = await anext(messages)
        while last.sequence == 1:  # sent before, while a busy machine did not go on
            last = await anext(messages)
        last.ack()
    assert [(each.sequence, each.attempt) for each in seen] == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert (last.sequence, last.attempt) == (2, 1)


async def test_what_was_not_taken_goes_to_others(jetstream: JetStream, stream: str) -> None:
    """A closed pull returns its messages at once, long before ack_wait ends."""
    await publish(jetstream, stream, 5)
    await jetstream.create_consumer(stream, ConsumerConfig("c", ack_wait=3600.0))
    async with jetstream.pull(stream, "c") as messages:
        await take(messages, 1)
        await until(lambda: len(messages._arrived) == 4)
    with pytest.raises(StopAsyncIteration):
        await anext(messages)
    async with jetstream.pull(stream, "c") as messages:
        assert sorted(each.sequence for each in await take(messages, 4)) == [2, 3, 4, 5]


async def test_messages_are_handed_over_as_they_arrive(jetstream: JetStream, stream: str) -> None:
    """A function gets them in order, those that came before it too; others get what comes later."""
    await publish(jetstream, stream, 6)
    await jetstream.create_consumer(stream, ConsumerConfig("c", ack_wait=3600.0))
    taken: list[int] = []

    def on_message(message: PulledMessage) -> None:
        taken.append(message.sequence)
        message.ack()

    async with jetstream.pull(stream, "c", batch=4) as messages:
        await until(lambda: len(messages._arrived) == 4)
        handing_over = asyncio.create_task(messages.hand_over(on_message))
        await until(lambda: len(taken) == 6)
        await publish(jetstream, stream, 5)
        await until(lambda: len(taken) == 11)
        await messages.close()
        await handing_over
    assert taken == list(range(1, 12))
    await publish(jetstream, stream, 1)
    async with jetstream.pull(stream, "c") as messages:
        assert [each.sequence for each in await take(messages, 1)] == [12]


async def test_closing_ends_a_waiting_loop(jetstream: JetStream, stream: str) -> None:
    """A task that waits for the next message ends its loop."""
    await jetstream.create_consumer(stream, ConsumerConfig("c"))
    messages = jetstream.pull(stream, "c")

    async def consume() -> list[PulledMessage]:
        return [each async for each in messages]

    async with messages:
        consuming = asyncio.create_task(consume())
        await asyncio.sleep(0)
    assert await consuming == []


async def test_instances_share_a_consumer(jetstream: JetStream, stream: str) -> None:
    """Two pulls of one consumer get each message once between them."""
    await publish(jetstream, stream, 20)
    await jetstream.create_consumer(stream, ConsumerConfig("c"))
    seen: list[int] = []

    async def consume(messages: Pull) -> None:
        async for message in messages:
            message.ack()
            seen.append(message.sequence)

    async with (
        jetstream.pull(stream, "c", batch=2) as one,
        jetstream.pull(stream, "c", batch=2) as other,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(consume(one))
        group.create_task(consume(other))
        await eventually(lambda: len(seen) == 20)
        await one.close()
        await other.close()
    assert sorted(seen) == list(range(1, 21))


async def test_pulls_survive_restarts_of_the_server(own_nats_server: NatsServer) -> None:
    """Messages that are published after a crash and after a restart arrive."""
    transport = NatsTransport(own_nats_server.url)
    jetstream = JetStream(transport)
    await jetstream.create_stream(StreamConfig("s", ("s.>",)))
    await jetstream.create_consumer("s", ConsumerConfig("c"))
    numbers = count()
    async with jetstream.pull("s", "c", batch=10) as messages:
        for interrupt in (lambda: None, own_nats_server.kill, own_nats_server.restart):
            interrupt()
            own_nats_server.start()
            payload = b"%d" % next(numbers)
            await publish_again(jetstream, payload)
            # What was acknowledged right before a crash may be delivered again.
            while (await take(messages, 1))[0].payload != payload:
                pass
    await transport.close()


async def test_a_lost_request_is_repeated(
    jetstream: JetStream,
    transport: NatsTransport,
    stream: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When heartbeats stay away the messages are asked for again."""
    monkeypatch.setattr("weenats.transport.jetstream.pull._HEARTBEAT", 0.15)
    await jetstream.create_consumer(stream, ConsumerConfig("c"))
    lost: list[str] = []
    send = transport.publish

    def lose_first(subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> None:
        if ".MSG.NEXT." in subject and not lost:
            lost.append(subject)
        else:
            send(subject, payload, headers, reply)

    monkeypatch.setattr(transport, "publish", lose_first)
    await publish(jetstream, stream, 1)
    async with jetstream.pull(stream, "c") as messages:
        assert len(await take(messages, 1)) == 1
    assert len(lost) == 1


async def test_requests_are_renewed(
    jetstream: JetStream, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that expired is repeated."""
    monkeypatch.setattr("weenats.transport.jetstream.pull._EXPIRES", 0.2)
    monkeypatch.setattr("weenats.transport.jetstream.pull._HEARTBEAT", 0.1)
    await jetstream.create_consumer(stream, ConsumerConfig("c"))
    async with jetstream.pull(stream, "c", batch=10) as messages:
        expired: list[str] = []
        end = messages._on_end_of_request
        monkeypatch.setattr(
            messages, "_on_end_of_request", lambda left: (expired.append(left), end(left))
        )
        await eventually(lambda: len(expired) >= 2)
        assert set(expired) == {"10"}
        await publish(jetstream, stream, 1)
        assert len(await take(messages, 1)) == 1


@pytest.mark.parametrize(
    ("what", "error"), [("consumer", ConsumerMissingError), ("stream", StreamMissingError)]
)
async def test_deleting_ends_a_pull(
    jetstream: JetStream, what: str, error: type[Exception]
) -> None:
    """A deleted consumer or stream is reported to a waiting loop."""
    await jetstream.create_stream(StreamConfig(what, (f"{what}.>",), storage="memory"))
    await jetstream.create_consumer(what, ConsumerConfig("c"))
    async with jetstream.pull(what, "c") as messages:
        await ask_until(lambda info: info.waiting, partial(jetstream.consumer_info, what, "c"))
        if what == "consumer":
            await jetstream.delete_consumer(what, "c")
        else:
            await jetstream.delete_stream(what)
        with pytest.raises(error):
            async with asyncio.timeout(30):
                await anext(messages)
    if what == "consumer":
        await jetstream.delete_stream(what)


async def test_a_missing_consumer_cannot_be_entered(jetstream: JetStream, stream: str) -> None:
    """A pull of a consumer that does not exist fails at once."""
    with pytest.raises(ConsumerMissingError):
        await jetstream.pull(stream, "c").__aenter__()


async def test_a_pull_that_was_not_entered(jetstream: JetStream, stream: str) -> None:
    """A loop without `async with`, which would wait for ever, says so."""
    with pytest.raises(RuntimeError, match="in `async with`"):
        async for _ in jetstream.pull(stream, "c"):
            pass


async def test_a_closed_connection_ends_a_pull(nats_url: str, stream: str) -> None:
    """The loop gets the error of the connection; leaving works."""
    transport = NatsTransport(nats_url)
    jetstream = JetStream(transport)
    await jetstream.create_consumer(stream, ConsumerConfig("c"))
    async with jetstream.pull(stream, "c") as messages:
        await transport.close()
        with pytest.raises(ConnectionClosedError):
            async with asyncio.timeout(30):
                await anext(messages)


ACCOUNTS = """
accounts: {
  SERVICES: {
    jetstream: enabled
    users: [{user: service, password: x}]
    exports: [
      {service: "$JS.API.CONSUMER.INFO.>"}
      {service: "$JS.API.CONSUMER.MSG.NEXT.>", response: RESPONSE}
    ]
  }
  OTHERS: {
    users: [{user: reader, password: x}]
    imports: [
      {service: {account: SERVICES, subject: "$JS.API.CONSUMER.INFO.>"}}
      {service: {account: SERVICES, subject: "$JS.API.CONSUMER.MSG.NEXT.>"}}
    ]
  }
}
"""


@pytest.mark.parametrize("response", [pytest.param("singleton", marks=pytest.mark.slow), "stream"])
@pytest.mark.parametrize("number", [0, pytest.param(9, marks=pytest.mark.slow)])
async def test_export_that_lets_one_answer_through_is_reported(
    response: str,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each request gets one answer, a message or a heartbeat: the log names the setting."""
    monkeypatch.setattr("weenats.transport.jetstream.pull._HEARTBEAT", 0.5)
    with NatsServer(config=ACCOUNTS.replace("RESPONSE", response)) as server:
        service = NatsTransport(server.url, ConnectionOptions(user="service", password="x"))
        reader = NatsTransport(server.url, ConnectionOptions(user="reader", password="x"))
        streams = JetStream(service)
        await streams.create_stream(StreamConfig("s", ("s.>",)))
        await streams.create_consumer("s", ConsumerConfig("c"))
        await publish(streams, "s", number)
        async with JetStream(reader).pull("s", "c") as messages:
            if response == "stream":
                for _ in range(number):
                    await anext(messages)
                for _ in range(4):  # heartbeats
                    messages._answers = 0
                    await until(lambda: messages._answers > 0)
                assert not caplog.messages
            else:
                await until(lambda: "needs `response: stream`" in caplog.text)
        for transport in (service, reader):
            await transport.close()


async def test_closing_that_is_cancelled_goes_on(jetstream: JetStream, stream: str) -> None:
    """What was not taken goes back to the server at once."""
    await publish(jetstream, stream, 2)
    await jetstream.create_consumer(stream, ConsumerConfig("c", ack_wait=3600.0))
    messages = await jetstream.pull(stream, "c").__aenter__()
    assert [each.attempt for each in await take(messages, 1)] == [1]
    closing = asyncio.create_task(messages.close())
    await asyncio.sleep(0)
    await cancel_call(closing)
    async with jetstream.pull(stream, "c") as messages:
        assert [each.attempt for each in await take(messages, 1)] == [2]

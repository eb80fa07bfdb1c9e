"""Publishing: acknowledgements, duplicates, expectations, errors."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from testkit.waiting import LIMIT
from weenats import InvalidArgumentError, NatsTransport
from weenats.testing import MemoryTransport, NatsServer
from weenats.transport import Delivery
from weenats.transport.jetstream import (
    JetStream,
    JetStreamRefusedError,
    JetStreamUnavailableError,
    PublishAck,
    Republish,
    StreamConfig,
    StreamFullError,
    StreamMissingError,
    WrongSequenceError,
    WrongStreamError,
)


async def test_a_repeated_id_is_stored_once(jetstream: JetStream, stream: str) -> None:
    """The second message gets the sequence of the first."""
    subject = f"{stream}.a"
    first = await jetstream.publish(subject, b"1", message_id="m-1", stream=stream)
    assert first == PublishAck(stream, 1, duplicate=False)
    again = await jetstream.publish(subject, b"1", message_id="m-1")
    assert again == PublishAck(stream, 1, duplicate=True)
    assert (await jetstream.stream_info(stream)).messages == 1


async def test_of_two_writers_one_wins(jetstream: JetStream, stream: str) -> None:
    """The same expected sequence is met once; the other writer learns the last one."""
    outcomes = await asyncio.gather(
        *(
            jetstream.publish(f"{stream}.a", b"", expected_last_subject_sequence=0)
            for _ in range(10)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(each, PublishAck) for each in outcomes) == 1
    lost = [each for each in outcomes if isinstance(each, WrongSequenceError)]
    assert [each.last for each in lost] == [1] * 9


async def test_a_missing_or_other_stream_is_an_error(jetstream: JetStream, stream: str) -> None:
    """Nobody takes a message without a stream, or with another one than expected."""
    with pytest.raises(StreamMissingError, match=r"no stream stores nowhere\.a"):
        await jetstream.publish("nowhere.a", b"")
    with pytest.raises(WrongStreamError):
        await jetstream.publish(f"{stream}.a", b"", stream="another")


async def test_a_full_stream_is_an_error(jetstream: JetStream, stream: str) -> None:
    """A stream that discards new messages refuses them at its limit."""
    info = await jetstream.stream_info(stream)
    await jetstream.update_stream(replace(info.config, max_messages=1, discard="new"))
    await jetstream.publish(f"{stream}.a", b"")
    with pytest.raises(StreamFullError, match="maximum messages exceeded"):
        await jetstream.publish(f"{stream}.a", b"")


async def test_other_refusals_have_their_number(jetstream: JetStream, stream: str) -> None:
    """A time to live where the stream allows none is refused."""
    with pytest.raises(JetStreamRefusedError) as raised:
        await jetstream.publish(f"{stream}.a", b"", ttl=5)
    assert raised.value.error_code == 10166


async def test_a_message_id_cannot_add_headers(jetstream: JetStream) -> None:
    """A line break in an id is refused."""
    with pytest.raises(InvalidArgumentError, match="line break"):
        await jetstream.publish("a", b"", message_id="x\r\nNats-Rollup: all")


async def test_another_answer_is_no_acknowledgement() -> None:
    """Somebody who answers on the subject of a stream is not taken for it."""
    transport = MemoryTransport()
    await transport.connect()
    transport.subscribe("a", lambda each: transport.publish(each.reply, b"{}"))
    with pytest.raises(JetStreamUnavailableError, match="does not come from JetStream"):
        await JetStream(transport).publish("a", b"")
    await transport.close()


async def test_republished_messages_lose_the_partition(
    jetstream: JetStream, transport: NatsTransport
) -> None:
    """One rule gives core subscribers subjects without the token of the partition."""
    source = "republished.stream.*.>"
    await jetstream.create_stream(
        StreamConfig(
            "republished",
            (source,),
            storage="memory",
            republish=Republish(source, "republished.events.>"),
        )
    )
    received: asyncio.Queue[Delivery] = asyncio.Queue()
    transport.subscribe("republished.events.>", received.put_nowait)
    await transport.fence()
    await jetstream.publish("republished.stream.3.order.placed", b"1", b"a: b\r\n")
    await jetstream.publish("republished.stream.0.closed", b"2")
    async with asyncio.timeout(LIMIT):
        arrived = [await received.get(), await received.get()]
    assert [each.subject for each in arrived] == [
        "republished.events.order.placed",
        "republished.events.closed",
    ]
    assert arrived[0].headers["a"] == "b"
    await jetstream.delete_stream("republished")


async def fill(full: JetStream) -> None:
    """Publish 400 KB."""
    for _ in range(100):
        await full.publish("full.a", b"x" * 4000)


async def test_full_account_is_like_a_full_stream() -> None:
    """An account without storage left refuses messages for now: not a mistake of the publisher."""
    account = "{jetstream: {max_file: 20KB, max_mem: 20KB}, users: [{user: a, password: b}]}"
    with NatsServer(config=f"accounts: {{A: {account}}}") as server:
        transport = NatsTransport(f"nats://a:b@127.0.0.1:{server.port}")
        full = JetStream(transport)
        await full.create_stream(StreamConfig("full", ("full.>",)))
        with pytest.raises(StreamFullError, match="resource limits exceeded for account"):
            await fill(full)
        await transport.close()


async def test_full_server_is_like_a_full_stream() -> None:
    """A server without storage left refuses messages for now, and the error says so."""
    with NatsServer(config="jetstream { max_file: 20KB }") as server:
        transport = NatsTransport(server.url)
        full = JetStream(transport)
        await full.create_stream(StreamConfig("full", ("full.>",)))
        with pytest.raises(StreamFullError, match="insufficient resources"):
            await fill(full)
        await transport.close()

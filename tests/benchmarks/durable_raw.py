"""Contender "raw": JetStream by nats-py around fixed bytes, with the headers that it takes.

Its commands are stored as those of weenats are: one message holds the event and the reply, with the
last sequence that is expected on the subject of the key, and an id for repeated commands. It has no
conflicts, no repeated commands and no state, and sends no events on.
"""

import asyncio
import json
from collections import defaultdict
from itertools import count
from uuid import uuid4

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

import durable
from harness import Call
from raw import REPLY, REQUEST
from workload import CONFIRMATION, ORDER

STREAM, EVENTS = "bench-raw-events", "bench-raw.stream"
COMMITS, COMMAND = "bench-raw-commits", "bench-raw.command"
_FETCH = 100
"""How many events are asked for at a time."""
COMMIT = json.dumps(
    {
        "aggregate": {"type": "order", "key": "order-00000000-000"},
        "command": "place-order",
        "revision": 1,
        "previous": 0,
        "version": "1.0.0",
        "events": [{"id": "01M8KT9Q53ZA8AFN1TC3NV5SJV", "type": "ordered", "data": ORDER}],
        "result": CONFIRMATION,
        "fingerprint": "00000000000000000000000000000000",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "metadata": {
            "messageId": "01M8KT9Q53ZA8AFN1TC3NV5SJV",
            "timestamp": "2026-01-01T00:00:00.000Z",
            "correlation": {"correlationId": "01M8KT9Q53ZA8AFN1TC3NV5SJV"},
        },
    },
    separators=(",", ":"),
).encode()


async def serve(url: str, what: str, replicas: str = "1") -> None:
    """Create the stream; fill it for those who consume, or serve commands."""
    connection = await nats.connect(url)
    jetstream = connection.jetstream()
    await durable.add_stream(connection, STREAM, f"{EVENTS}.>")
    if what == "consume":
        await fill(connection, STREAM, [f"{EVENTS}.order"], REQUEST)
    elif what == "commit":
        await durable.add_stream(connection, COMMITS, f"{COMMITS}.>", replicas)
        await serve_commands(connection, jetstream)


async def fill(connection: Client, stream: str, subjects: list[str], payload: bytes) -> None:
    """Store events on some subjects in turn, unless they are there already."""
    jetstream = connection.jetstream()
    have = (await jetstream.stream_info(stream)).state.messages
    for number in range(have, durable.FILL):
        await connection.publish(subjects[number % len(subjects)], payload)
    while (await jetstream.stream_info(stream)).state.messages < durable.FILL:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def serve_commands(connection: Client, jetstream: JetStreamContext) -> None:
    """Reply to each command after its commit was stored."""
    sequences: dict[str, int] = defaultdict(int)
    running: set[asyncio.Task[None]] = set()

    async def execute(message: Msg) -> None:
        subject = f"{COMMITS}.{message.subject.rpartition('.')[2]}"
        headers = {
            "Nats-Msg-Id": message.header["Id"] if message.header else "",
            "Nats-Expected-Stream": COMMITS,
            "Nats-Expected-Last-Subject-Sequence": str(sequences[subject]),
        }
        ack = await jetstream.publish(subject, COMMIT, headers=headers)
        sequences[subject] = ack.seq
        await connection.publish(message.reply, REPLY)

    async def begin(message: Msg) -> None:
        task = asyncio.create_task(execute(message))
        running.add(task)
        task.add_done_callback(running.discard)

    await connection.subscribe(f"{COMMAND}.*", queue="bench", cb=begin)
    await connection.flush()


async def connect(url: str, what: str, replicas: str = "1") -> Call:
    """Return what publishes, consumes or sends a command."""
    del replicas
    connection = await nats.connect(url)
    if what == "publish":
        return await publishing(connection.jetstream())
    if what == "consume":
        return await consuming(connection.jetstream())
    return await commanding(connection)


async def publishing(jetstream: JetStreamContext) -> Call:
    """Return what stores an event."""
    numbers, unique, keys = count(), uuid4().hex, durable.new_keys()

    async def call() -> None:
        headers = {"Nats-Msg-Id": f"{unique}-{next(numbers)}", "Nats-Expected-Stream": STREAM}
        await jetstream.publish(f"{EVENTS}.{next(keys)}", REQUEST, headers=headers)

    await call()
    return call


async def consuming(jetstream: JetStreamContext) -> Call:
    """Return what processes a batch of events, in no order when several processes do so."""

    async def new_consumer() -> JetStreamContext.PullSubscription:
        return await jetstream.pull_subscribe(f"{EVENTS}.>", f"raw-{uuid4().hex}", STREAM)

    consumer, left = await new_consumer(), durable.FILL

    async def call() -> None:
        nonlocal consumer, left
        if left < durable.BATCH:
            consumer, left = await new_consumer(), durable.FILL
        done = 0
        while done < durable.BATCH:
            for message in await consumer.fetch(min(_FETCH, durable.BATCH - done)):
                await message.ack()
                done += 1
        left -= done

    await call()
    return call


async def commanding(connection: Client) -> Call:
    """Return what sends a command."""
    numbers, unique, keys = count(), uuid4().hex, durable.new_keys()

    async def call() -> None:
        headers = {"Id": f"{unique}-{next(numbers)}"}
        await connection.request(f"{COMMAND}.{next(keys)}", REQUEST, timeout=5, headers=headers)

    first, subject = {"Id": unique}, f"{COMMAND}.{next(keys)}"
    reply = await connection.request(subject, REQUEST, timeout=5, headers=first)
    if reply.data != REPLY:
        raise ValueError(f"unexpected reply: {reply.data!r}")
    await durable.once_each(call)
    return call

"""Contender "raw, in order per key": consumers of nats-py with the order that weenats keeps.

A consumer for each partition, each with one event in flight: also when several processes share
them, events of one key are processed one after the other.
"""

import asyncio
from uuid import uuid4

import nats
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

import durable
import durable_raw
from harness import Call
from raw import REQUEST

STREAM, EVENTS = "bench-ordered-events", "bench-ordered.stream"


async def serve(url: str, what: str) -> None:
    """Create and fill the stream."""
    del what
    connection = await nats.connect(url)
    await connection.jetstream().add_stream(name=STREAM, subjects=[f"{EVENTS}.>"])
    subjects = [f"{EVENTS}.{partition}.order" for partition in range(durable.PARTITIONS)]
    await durable_raw.fill(connection, STREAM, subjects, REQUEST)


async def connect(url: str, what: str) -> Call:
    """Return what processes a batch of events."""
    del what
    consumer = _Consumer((await nats.connect(url)).jetstream())
    await consumer.batch()
    return consumer.batch


class _Consumer:
    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream
        self._parts: list[JetStreamContext.PullSubscription] = []
        self._left = 0

    async def batch(self) -> None:
        """Process as many events of each partition, and one more of some."""
        if self._left < durable.BATCH:
            await self._begin()
        self._left -= durable.BATCH
        each, more = divmod(durable.BATCH, len(self._parts))
        shares = [each + (number < more) for number in range(len(self._parts))]
        await asyncio.gather(*map(self._process, self._parts, shares))
        self._parts.append(self._parts.pop(0))  # others have one more next time

    async def _begin(self) -> None:
        name, config = uuid4().hex, ConsumerConfig(max_ack_pending=1)
        self._parts = [
            await self._jetstream.pull_subscribe(
                f"{EVENTS}.{partition}.>", f"{name}-{partition}", STREAM, config
            )
            for partition in range(durable.PARTITIONS)
        ]
        # The last batches would find some partitions empty.
        self._left = durable.FILL - 2 * durable.BATCH

    @staticmethod
    async def _process(part: JetStreamContext.PullSubscription, count: int) -> None:
        for _ in range(count):
            for message in await part.fetch(1):
                await message.ack()

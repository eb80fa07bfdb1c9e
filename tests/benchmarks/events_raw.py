"""Contender "raw": nats-py publishes the same bytes, another process counts them."""

import asyncio
from itertools import count

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from harness import Call
from raw import REQUEST

BATCH = 200
"""Events of one call, which ends when all have arrived."""


async def arrivals(url: str, name: str) -> asyncio.Queue[None]:
    """Return a queue with an item for each batch that has arrived."""
    queue: asyncio.Queue[None] = asyncio.Queue()
    connection = await nats.connect(url)

    async def arrived(_: Msg) -> None:
        queue.put_nowait(None)

    await connection.subscribe(f"bench.arrived.{name}", cb=arrived)
    await connection.flush()
    return queue


async def counter(connection: Client, name: str) -> Call:
    """Return what counts an event, and reports each batch."""
    numbers = count(1)

    async def tick() -> None:
        if next(numbers) % BATCH == 0:
            await connection.publish(f"bench.arrived.{name}", b"")

    return tick


async def serve(url: str) -> None:
    """Count what arrives."""
    connection = await nats.connect(url)
    tick = await counter(connection, "raw")

    async def count_it(_: Msg) -> None:
        await tick()

    await connection.subscribe("bench.event.raw", cb=count_it)
    await connection.flush()


async def connect(url: str) -> Call:
    """Publish a batch, wait until it has arrived."""
    arrived = await arrivals(url, "raw")
    connection = await nats.connect(url)

    async def call() -> None:
        for _ in range(BATCH):
            await connection.publish("bench.event.raw", REQUEST)
        await arrived.get()

    await call()
    return call

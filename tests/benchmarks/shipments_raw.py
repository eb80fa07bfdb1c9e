"""Contender "raw": nats-py echoes the bytes of a shipment."""

import json

import nats
from nats.aio.msg import Msg

from harness import Call
from shipments import shipment


async def serve(url: str, size: str) -> None:
    """Answer every request with its own bytes."""
    connection = await nats.connect(url)

    async def answer(message: Msg) -> None:
        await connection.publish(message.reply, message.data)

    await connection.subscribe(f"bench.shipments-raw.{size}", queue="bench", cb=answer)
    await connection.flush()


async def connect(url: str, size: str) -> Call:
    """Send the same bytes with every call."""
    connection = await nats.connect(url)
    body = json.dumps(shipment(int(size)), separators=(",", ":")).encode()

    async def call() -> None:
        await connection.request(f"bench.shipments-raw.{size}", body, timeout=30)

    await call()
    return call

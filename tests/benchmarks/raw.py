"""Contender "raw": nats-py's own request and reply around fixed bytes: the floor of the library."""

import json

import nats
from nats.aio.msg import Msg

from harness import Call
from workload import CONFIRMATION, KEY, ORDER

SUBJECT = "bench.raw"
REQUEST = json.dumps({"key": KEY, "order": ORDER}, separators=(",", ":")).encode()
REPLY = json.dumps({"ok": True, "confirmation": CONFIRMATION}, separators=(",", ":")).encode()


async def serve(url: str) -> None:
    """Answer every request with the same bytes."""
    connection = await nats.connect(url)

    async def answer(message: Msg) -> None:
        await connection.publish(message.reply, REPLY)

    await connection.subscribe(SUBJECT, queue="bench", cb=answer)
    await connection.flush()


async def connect(url: str) -> Call:
    """Send the same bytes with every call."""
    connection = await nats.connect(url)

    async def call() -> None:
        await connection.request(SUBJECT, REQUEST, timeout=5)

    reply = await connection.request(SUBJECT, REQUEST, timeout=5)
    if reply.data != REPLY:
        raise ValueError(f"unexpected reply: {reply.data!r}")
    return call

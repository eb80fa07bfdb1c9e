"""A service of another party: answers discovery and calls with whatever a test wants."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import nats
from nats.aio.msg import Msg

_IDENTITY: Final = {"name": "receipts", "id": "ID1", "version": "1.0.0", "metadata": {}}
_SUBJECT: Final = "receipts.query.receipt.get"


def micro(
    *,
    identity: Mapping[str, Any] = _IDENTITY,
    endpoint: Mapping[str, Any] | None = None,
    stats: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return answers to PING, INFO and STATS of a service with the query `get`.

    Args:
        identity: Replaces members of the service.
        endpoint: Replaces members of its endpoint in INFO.
        stats: Replaces members of its endpoint in STATS.
    """
    service = {**_IDENTITY, **identity}
    metadata = {"kind": "query", "operation": "get", "aggregate": "receipt"}
    common = {"name": "get", "subject": _SUBJECT, "queue_group": "q"}
    counters = {
        **common,
        "num_requests": 1,
        "num_errors": 0,
        "last_error": "",
        "processing_time": 1,
        "average_processing_time": 1,
    }
    return {
        "PING": {"type": "io.nats.micro.v1.ping_response", **service},
        "INFO": {
            "type": "io.nats.micro.v1.info_response",
            **service,
            "description": "d",
            "endpoints": [{**common, "metadata": metadata, **(endpoint or {})}],
        },
        "STATS": {
            "type": "io.nats.micro.v1.stats_response",
            **service,
            "started": "2026-01-01T00:00:00Z",
            "endpoints": [{**counters, **(stats or {})}],
        },
    }


@asynccontextmanager
async def pretend(
    url: str, answers: Mapping[str, Any], reply: Mapping[str, Any] | None = None
) -> AsyncIterator[None]:
    """Answer discovery with `answers`, and calls of the service with `reply`."""
    connection = await nats.connect(url)

    async def on_message(message: Msg) -> None:
        parts = message.subject.split(".")
        answer = answers.get(parts[1]) if parts[0] == "$SRV" else reply
        if message.reply and answer is not None:
            await connection.publish(message.reply, json.dumps(answer, ensure_ascii=False).encode())

    try:
        await connection.subscribe("$SRV.>", cb=on_message)
        await connection.subscribe("receipts.>", cb=on_message)
        await connection.flush()
        yield
    finally:
        await connection.close()

"""A service of another framework, or one that sends anything, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

from testkit.transports import answering, connected
from testkit.waiting import LIMIT

Answers = Mapping[str, bytes | Callable[[], bytes]]
"""The reply for each subject, or for each verb of discovery."""
VERBS = ("PING", "INFO", "STATS")


def micro(
    name: str = "odd",
    instance: str = "odd-1",
    *,
    identity: Any = None,
    info: Any = None,
    stats: Any = None,
) -> dict[str, bytes]:
    """Return the answers of an ADR-32 service with one endpoint, the query `get`.

    Args:
        name: the name of the service.
        instance: the id of the instance.
        identity: members of every answer.
        info: members of the endpoint in INFO.
        stats: members of the endpoint in STATS; one that is None is left out.
    """
    who = {"name": name, "id": instance, "version": "1.0.0", "metadata": {}, **(identity or {})}
    endpoint = {"name": "get", "subject": f"{name}.query.receipt.get", "queue_group": "q"}
    metadata = {"kind": "query", "operation": "get", "aggregate": "receipt"}
    counted = {
        **endpoint,
        "num_requests": 1,
        "num_errors": 0,
        "last_error": "",
        "processing_time": 1,
        "average_processing_time": 1,
        **(stats or {}),
    }
    described = {**endpoint, "metadata": metadata, **(info or {})}
    replies = {
        "PING": who,
        "INFO": {**who, "description": "d", "endpoints": [described]},
        "STATS": {
            **who,
            "started": "2026-01-01T00:00:00Z",
            "endpoints": [{key: value for key, value in counted.items() if value is not None}],
        },
    }
    return {
        verb: encoded({"type": f"io.nats.micro.v1.{verb.lower()}_response", **reply})
        for verb, reply in replies.items()
    }


def encoded(reply: Mapping[str, Any]) -> bytes:
    """Return a reply as JSON, whose characters are not escaped."""
    return json.dumps(reply, ensure_ascii=False).encode()


@contextmanager
def foreign_service(url: str, *answers: Answers, name: str = "odd") -> Iterator[None]:
    """Answer requests for discovery, of all services and of one, and requests on other subjects.

    Args:
        url: the URL of the nats-server.
        answers: the replies, of one or several services.
        name: the name of the service in the subjects of discovery.
    """
    started, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        async with connected(url) as transport:
            for subject, reply in chain.from_iterable(each.items() for each in answers):
                targets = [subject]
                if subject in VERBS:
                    targets = [f"$SRV.{subject}", f"$SRV.{subject}.{name}"]
                for target in targets:
                    transport.subscribe(target, _replying(transport, reply))
            await transport.fence()
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        assert started.wait(LIMIT)
        yield
    finally:
        ended.set()
        thread.join(LIMIT)


def _replying(transport: Any, reply: bytes | Callable[[], bytes]) -> Any:
    if isinstance(reply, bytes):
        return answering(transport, reply)
    return lambda delivery: transport.publish(delivery.reply, reply())

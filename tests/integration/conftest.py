"""Fixtures: a running probe service and its client, over a real nats-server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import nats
import pytest
from nats.aio.client import Client as RawClient
from nats.aio.msg import Msg

from testkit.probe import Probe, ProbeClient
from testkit.waiting import LIMIT
from weenats import NatsServiceBuilder

Ask = Callable[..., Awaitable[Msg]]


@pytest.fixture
def handlers() -> Probe:
    """The handlers of the running probe; a test adds actions to them."""
    return Probe()


@pytest.fixture
async def service(nats_url: str, handlers: Probe) -> AsyncIterator[Any]:
    """The running probe service."""
    builder = NatsServiceBuilder(handlers, nats_url).with_queue_group(
        "probe-workers", max_concurrency=20
    )
    async with builder.build() as running:
        yield running


@pytest.fixture
async def client(nats_url: str, service: Any) -> AsyncIterator[ProbeClient]:
    """A client of the running probe."""
    del service
    async with ProbeClient.connect(nats_url) as connected:
        yield connected


@pytest.fixture
async def raw(nats_url: str) -> AsyncIterator[RawClient]:
    """A plain nats-py connection: what a client in another language would have."""
    connection = await nats.connect(nats_url, connect_timeout=int(LIMIT))
    # Half a second otherwise, which a busy machine may need.
    connection.request = partial(connection.request, timeout=LIMIT)  # type: ignore[method-assign]
    yield connection
    await connection.close()


@pytest.fixture
async def ask(raw: RawClient, service: Any) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Send raw bytes or a JSON value to an operation of the probe and return the reply as JSON."""
    del service

    async def send(
        subject: str, body: Any, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = await raw.request(subject, payload, headers=headers)
        answer: dict[str, Any] = {**json.loads(reply.data), "headers": reply.headers or {}}
        return answer

    return send


class Gate:
    """An action that blocks its callers until it is opened."""

    def __init__(self) -> None:
        self.entered = asyncio.Semaphore(0)
        self.opened = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, key: str, command: Any, context: Any) -> Any:
        """Wait for `opened`."""
        from testkit.probe import Outcome

        del command, context
        self.entered.release()
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Outcome(text=key)


@pytest.fixture
def gate() -> Gate:
    """A closed gate."""
    return Gate()

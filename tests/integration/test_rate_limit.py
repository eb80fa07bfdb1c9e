"""Rate limiting over a real nats-server: wire format, and fairness between clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

import nats
import pytest
import pytest_asyncio

from testkit.probe import Probe, ProbeClient, Run
from testkit.tokens import FakeValidator, good_claims, token
from testkit.waiting import LIMIT
from weenats import NatsServiceBuilder
from weenats.errors import ResourceExhaustedError

GO = Run(action="go")
CLIENTS: Final = 20
RATE: Final = 20
SECONDS: Final = 5


async def test_rate_limit_error_on_the_wire(nats_url: str) -> None:
    """The reply has the code, its number, `retryAfter` and the retry header."""
    request = b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"go"}}'
    async with NatsServiceBuilder(Probe(), nats_url).with_rate_limit(0.01, burst=1).build():
        raw = await nats.connect(nats_url)
        try:
            await raw.request("probe.command.thing.run", request, timeout=30)
            reply = await raw.request("probe.command.thing.run", request, timeout=30)
        finally:
            await raw.close()
    answer = json.loads(reply.data)
    assert answer["error"]["code"] == "RESOURCE_EXHAUSTED"
    wait = answer["error"]["details"]["retryAfter"]
    assert 100_000 - 1000 * LIMIT < wait <= 100_000
    assert reply.headers is not None
    assert reply.headers["Wee-Retry-After"] == str(wait)
    assert reply.headers["Nats-Service-Error-Code"] == "429"


@pytest_asyncio.fixture
async def per_client(nats_url: str) -> AsyncIterator[str]:
    """A service with a rate limit per client and a burst of one second."""
    builder = NatsServiceBuilder(Probe(), nats_url).with_auth(validator=FakeValidator())
    limited = builder.with_rate_limit(RATE, burst=RATE, per_client=True)
    async with limited.with_queue_group("probe", max_concurrency=100).build():
        yield nats_url


@pytest.mark.timing
async def test_clients_share_the_rate_limit_fairly(per_client: str) -> None:
    """Twenty clients at twice the rate for 5 s each get their own limit, within 5 %."""
    async with ProbeClient.connect(per_client) as shared:
        clients = [
            shared.with_token(token(good_claims(sub=f"client-{number}")))
            for number in range(CLIENTS)
        ]
        loop = asyncio.get_running_loop()
        start = loop.time()
        passed = [0] * CLIENTS

        async def ask(number: int) -> None:
            try:
                await clients[number].run("k", GO)
            except ResourceExhaustedError:
                return
            passed[number] += 1

        async with asyncio.TaskGroup() as group:
            for turn in range(2 * RATE * SECONDS):
                due = start + turn / (2 * RATE)
                await asyncio.sleep(max(due - loop.time(), 0))
                for number in range(CLIENTS):
                    group.create_task(ask(number))
        elapsed = loop.time() - start
    share = RATE + RATE * elapsed  # a full bucket, and what leaks out of it meanwhile
    assert all(abs(each - share) <= 0.05 * share for each in passed), (share, passed)

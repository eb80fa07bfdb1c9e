"""Event loops whose task factory runs tasks at once, as Python 3.12 and later can."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import pytest

from testkit.once import OnceClient, OnceProbe
from testkit.probe import Happened, Outcome, ProbeSyncClient, Run
from testkit.waiting import LIMIT, eventually
from weenats import (
    CallNext,
    ConnectionLostError,
    NatsService,
    NatsServiceBuilder,
    ReceivedEvent,
    RequestContext,
    Response,
)
from weenats.client.loop_thread import process_loop
from weenats.transport import NatsTransport

GO = Run(action="go")

if sys.version_info < (3, 12):
    pytest.skip("Python 3.11 has no eager tasks", allow_module_level=True)


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[OnceClient]:
    """A client on a loop with eager tasks."""
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    async with OnceClient.connect(nats_url, verify="off") as client:
        yield client


@pytest.fixture
async def service(nats_url: str, client: OnceClient) -> AsyncIterator[NatsService]:
    """A service on the same loop."""
    del client
    async with NatsServiceBuilder(OnceProbe(), nats_url).build() as service:
        yield service


async def test_requests_leave_nothing(client: OnceClient, service: NatsService) -> None:
    """A request is forgotten when it has ended, also if its handler never waited."""
    assert await asyncio.gather(*(client.get(str(each)) for each in range(100)))
    assert service._assembly is not None
    admission = service._assembly.admission
    assert not (admission.running)
    assert not (admission._calls)
    assert not (admission._timer.deadlines)


async def test_features_work(client: OnceClient, service: NatsService) -> None:
    """Commands with `once`, events, discovery and cancellation do what they do elsewhere."""
    del service
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def note(event: ReceivedEvent[Happened]) -> None:
        seen.put_nowait(event.data.text)

    async with await client.subscribe_happened(note):
        await client.publish_happened("k", Happened(text="a"))
        assert await asyncio.wait_for(seen.get(), LIMIT) == "a"
    assert await client.run("k", GO) == Outcome(text="go")
    assert len(await client.list_instances()) == 1
    call = asyncio.create_task(client.run("k", GO))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


def test_exit_in_a_synchronous_call(nats_url: str) -> None:
    """SystemExit reaches the calling thread, also where loops are made with eager tasks."""

    async def leave(context: RequestContext, call_next: CallNext) -> Response:
        raise SystemExit(3)

    loop = process_loop()._loop
    with ProbeSyncClient.connect(nats_url) as client:
        loop.call_soon_threadsafe(loop.set_task_factory, asyncio.eager_task_factory)
        try:
            with pytest.raises(SystemExit):
                client.with_interceptor(leave).get("k")
        finally:
            loop.call_soon_threadsafe(loop.set_task_factory, None)


async def test_inbox_opens_after_a_failure(
    nats_url: str, client: OnceClient, service: NatsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that found the connection broken does not fail those after it."""
    del client, service
    transport = NatsTransport(nats_url)
    await transport.connect()
    connection: Any = transport._connection

    async def fail() -> None:
        raise ConnectionLostError

    with monkeypatch.context() as patched:
        patched.setattr(connection, "fence", fail)
        with pytest.raises(ConnectionLostError):
            await transport._inbox.open(connection, "subject", monotonic() + LIMIT)
    fresh = OnceClient(transport)
    assert await fresh.run("k", GO, timeout=LIMIT) == Outcome(text="go")
    await transport.close()
    await eventually(lambda: connection.is_closed)

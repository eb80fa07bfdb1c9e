"""A handler that ends the process: callers still get an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from testkit.forks import Fork, fork, run_program
from testkit.probe import Happened, ProbeClient, Run
from testkit.waiting import LIMIT
from weenats import InternalError
from weenats.testing import NatsServer

SERVICE = """
import asyncio, sys
from testkit.probe import Probe, ProbeClient
from weenats import NatsServiceBuilder

async def leave(*_):
    sys.exit(3)

async def main(url):
    service = NatsServiceBuilder(Probe(leave=leave), url).build()
    async with service, ProbeClient.connect(url) as client:
        async with await client.subscribe_happened(leave):
            send("serves")
            await service.wait_until_stopped()

asyncio.run(main(*arguments))
"""


@asynccontextmanager
async def start_service(url: str) -> AsyncIterator[Fork]:
    """Start a service whose handlers exit the process; return it once it serves."""
    with fork(run_program, SERVICE, url) as process:
        assert await process.receive() == "serves"
        yield process


async def test_caller_is_answered_when_handler_exits_the_process(nats_server: NatsServer) -> None:
    """The caller gets INTERNAL, and the process exits with the status of the handler."""
    async with (
        start_service(nats_server.url) as process,
        ProbeClient.connect(nats_server.url) as client,
    ):
        with pytest.raises(InternalError):
            await client.run("k", Run(action="leave"), timeout=LIMIT)
        assert await process.wait() == 3


async def test_subscriber_can_exit_the_process(nats_server: NatsServer) -> None:
    """The shutdown does not wait for a connection that is no longer read."""
    async with (
        start_service(nats_server.url) as process,
        ProbeClient.connect(nats_server.url) as client,
    ):
        await client.publish_happened("k", Happened(text="now"), revision=1)
        assert await process.wait() == 3

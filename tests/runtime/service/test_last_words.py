"""A handler that ends the process: callers still get an answer."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from testkit.probe import Happened, ProbeClient, Run
from testkit.processes import async_child_process, python_environment
from testkit.waiting import LIMIT
from weenats import InternalError
from weenats.testing import NatsServer

SERVICE = """
import asyncio, sys
from testkit.probe import Probe, ProbeClient
from weenats import NatsServiceBuilder

async def leave(*arguments):
    sys.exit(3)

async def main(url):
    service = NatsServiceBuilder(Probe(leave=leave), url).build()
    async with service, ProbeClient.connect(url) as client:
        async with await client.subscribe_happened(leave):
            print("serves", flush=True)
            await service.wait_until_stopped()

asyncio.run(main(sys.argv[1]))
"""


@asynccontextmanager
async def start_service(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a service whose handlers exit the process; return it once it serves."""
    async with async_child_process(
        *(sys.executable, "-c", SERVICE, url),
        env=python_environment(),
        stdout=asyncio.subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), LIMIT) == b"serves\n"
        yield process


async def test_caller_is_answered_when_handler_exits_the_process(nats_server: NatsServer) -> None:
    """The caller gets INTERNAL, and the process exits with the status of the handler."""
    async with (
        start_service(nats_server.url) as process,
        ProbeClient.connect(nats_server.url) as client,
    ):
        with pytest.raises(InternalError):
            await client.run("k", Run(action="leave"), timeout=LIMIT)
        assert await asyncio.wait_for(process.wait(), LIMIT) == 3


async def test_subscriber_can_exit_the_process(nats_server: NatsServer) -> None:
    """The shutdown does not wait for a connection that is no longer read."""
    async with (
        start_service(nats_server.url) as process,
        ProbeClient.connect(nats_server.url) as client,
    ):
        await client.publish_happened("k", Happened(text="now"), revision=1)
        assert await asyncio.wait_for(process.wait(), LIMIT) == 3

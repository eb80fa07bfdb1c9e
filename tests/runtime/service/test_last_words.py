"""What ends a process ends it, but not without a word to whoever waits."""

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
async def started(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a service whose handlers end its process; it serves when this returns."""
    async with async_child_process(
        *(sys.executable, "-c", SERVICE, url),
        env=python_environment(),
        stdout=asyncio.subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), LIMIT) == b"serves\n"
        yield process


async def test_a_handler_that_ends_the_process_is_answered_for(nats_server: NatsServer) -> None:
    """Its caller is told INTERNAL, and the process ends soon, with the status it was to have."""
    async with (
        started(nats_server.url) as process,
        ProbeClient.connect(nats_server.url) as client,
    ):
        with pytest.raises(InternalError):
            await client.run("k", Run(action="leave"), timeout=LIMIT)
        assert await asyncio.wait_for(process.wait(), LIMIT) == 3


async def test_a_subscriber_that_ends_the_process_ends_it(nats_server: NatsServer) -> None:
    """Nothing that is shut down waits for a connection that nobody reads any more."""
    async with (
        started(nats_server.url) as process,
        ProbeClient.connect(nats_server.url) as client,
    ):
        await client.publish_happened("k", Happened(text="now"), revision=1)
        assert await asyncio.wait_for(process.wait(), LIMIT) == 3

"""What ends a process ends it, but not without a word to whoever waits."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from testkit.probe import Happened, ProbeClient, Run
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


async def started(url: str) -> asyncio.subprocess.Process:
    """Start a service whose handlers end its process; return it once it serves."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SERVICE,
        url,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"serves\n"
    return process


async def test_a_handler_that_ends_the_process_is_answered_for(nats_server: NatsServer) -> None:
    """Its caller is told INTERNAL, and the process ends soon, with the status it was to have."""
    process = await started(nats_server.url)
    async with ProbeClient.connect(nats_server.url) as client:
        with pytest.raises(InternalError):
            await client.run("k", Run(action="leave"), timeout=20)
    assert await asyncio.wait_for(process.wait(), 20) == 3


async def test_a_subscriber_that_ends_the_process_ends_it(nats_server: NatsServer) -> None:
    """Nothing that is shut down waits for a connection that nobody reads any more."""
    process = await started(nats_server.url)
    async with ProbeClient.connect(nats_server.url) as client:
        await client.publish_happened("k", Happened(text="now"), revision=1)
        assert await asyncio.wait_for(process.wait(), 20) == 3

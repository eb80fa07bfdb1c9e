"""Serve receipts with all features in a process of its own: `serve_receipts.py SETTINGS`.

The command `rest` on standard input returns the resource usage. The process ends with SIGTERM, or
at once when its parent process has ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from random import Random

from testkit.chaos.control import commands, reply
from testkit.chaos.journal import Journal
from testkit.chaos.journaled_receipts import JournaledReceipts
from testkit.chaos.recording import record
from testkit.chaos.resources import own_usage
from testkit.chaos.settings import QUEUE_GROUP, ProcessSettings
from testkit.tokens import AUDIENCE, ISSUER
from weenats import JwtAuthConfig, NatsService, NatsServiceBuilder, ServiceError


def build(settings: ProcessSettings, handlers: JournaledReceipts) -> NatsService:
    """Return the service."""
    auth = JwtAuthConfig(
        jwks_uri=settings.issuer,
        algorithms=["EdDSA"],
        issuer=ISSUER,
        audience=AUDIENCE,
        leeway=1,
    )
    return (
        NatsServiceBuilder(handlers, settings.servers, connection=settings.connection)
        .with_queue_group(QUEUE_GROUP, max_concurrency=20)
        .with_auth(auth)
        .with_rate_limit(settings.rate_limit, per_client=True)
        .with_circuit_breaker(failure_threshold=5, recovery_timeout=0.5)
        .with_telemetry(sampling={"commands": 1.0, "queries": 1.0, "events": 1.0})
        .with_health(interval=1)
        .with_monitoring(interval=1)
        .with_drain_timeout(5)
        .build()
    )


async def started(settings: ProcessSettings, handlers: JournaledReceipts) -> NatsService:
    """Return the running service; try again while there is no NATS server."""
    while True:
        service = build(settings, handlers)
        with suppress(ServiceError):
            await service.start()
            return service
        await asyncio.sleep(0.2)


async def follow_commands() -> None:
    """Answer commands with the resource usage; exit at once when standard input ends."""
    async for _ in commands():
        reply(**asdict(own_usage()))
    os._exit(1)


async def main(settings: ProcessSettings) -> None:
    """Serve."""
    record()
    journal = Journal(settings.journal_path)
    chances = Random(settings.seed) if settings.eventful else None
    obeying = asyncio.create_task(follow_commands())
    service = await started(settings, JournaledReceipts(journal, chances))
    stopped = asyncio.create_task(service.wait_until_stopped())
    await asyncio.sleep(0)  # signals are for the service from here on
    reply(serving=service.instance_id)
    await stopped
    obeying.cancel()


if __name__ == "__main__":
    asyncio.run(main(ProcessSettings.parse(sys.argv[1])))

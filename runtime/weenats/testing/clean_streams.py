"""The streams of a contract, created anew for each test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from weenats.client.loop_thread import process_loop
from weenats.idempotency.replies import replies_config
from weenats.large.objects import objects_config
from weenats.projections.bucket import STREAM
from weenats.rate_limit.ledger import ledger_config
from weenats.streams import apply_streams, plan_streams
from weenats.streams.settings import SERVICE
from weenats.transport.jetstream import JetStream, StreamMissingError
from weenats.transport.nats import NatsTransport

if TYPE_CHECKING:
    from weenats.contract import ServiceContract
    from weenats.transport.base import Transport

    _Action = Callable[[Transport, ServiceContract], Coroutine[object, object, None]]

__all__ = ["CleanStreams", "clean_streams_on", "remove_streams", "renew_streams"]
CleanStreams = Callable[["ServiceContract"], None]
"""Creates the streams of a contract, empty and without consumers."""
_BUCKETS: Final = (replies_config, ledger_config, objects_config)
"""The settings of the buckets of a service, beside the streams that say whose they are."""
_TIMEOUT: Final = 10.0
_PAUSE: Final = 0.05
"""Seconds until streams are created again that were not new."""


@contextmanager
def clean_streams_on(url: str) -> Generator[CleanStreams]:
    """Return what creates the streams of contracts; they are removed at the end.

    Args:
        url: the URL of the server.
    """
    contracts: list[ServiceContract] = []

    def create(contract: ServiceContract) -> None:
        contracts.append(contract)
        process_loop().run(_run(url, renew_streams, contract))

    try:
        yield create
    finally:
        for each in contracts:
            process_loop().run(_run(url, remove_streams, each))


async def renew_streams(transport: Transport, contract: ServiceContract) -> None:
    """Create the streams of a contract, empty and without consumers; remove what there was.

    Args:
        transport: the connection.
        contract: the contract of the service.

    Raises:
        TimeoutError: the server does not finish the removal within ten seconds.
        ServiceError: see `streams.apply_streams`.
    """
    async with asyncio.timeout(_TIMEOUT):
        while True:
            await remove_streams(transport, contract)
            await apply_streams(transport, await plan_streams(transport, contract.streams))
            if await _are_new(transport, contract):
                return
            await asyncio.sleep(_PAUSE)


async def remove_streams(transport: Transport, contract: ServiceContract) -> None:
    """Remove all that the service of a contract has stored, and projections of its events.

    Nothing of other services is removed but such projections.

    Args:
        transport: the connection.
        contract: the contract of the service.

    Raises:
        ServiceError: see `JetStream.delete_stream`.
    """
    jetstream = JetStream(transport)
    buckets = {settings(contract.name).name for settings in _BUCKETS}
    streams = {each.name for each in contract.streams}
    for each in await jetstream.streams():
        name, metadata = each.config.name, each.config.metadata
        is_projection = metadata.get(STREAM) in streams
        if name in buckets or metadata.get(SERVICE) == contract.name or is_projection:
            with suppress(StreamMissingError):
                await jetstream.purge(name)
                await jetstream.delete_stream(name)


async def _are_new(transport: Transport, contract: ServiceContract) -> bool:
    """Whether streams begin with the first sequence.

    A server that still removes a stream of the same name in the background keeps the files of the
    next one that is deleted, and takes them for those of the one that is created afterwards.
    """
    jetstream = JetStream(transport)
    names = {name for each in contract.streams for name in (each.name, each.dead_letters)}
    return not any([(await jetstream.stream_info(name)).last_sequence for name in names])


async def _run(url: str, action: _Action, contract: ServiceContract) -> None:
    transport = NatsTransport(url)
    try:
        await action(transport, contract)
    finally:
        await transport.close()

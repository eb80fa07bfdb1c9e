"""The streams of a contract, created anew for each test."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from weenats.client.loop_thread import process_loop
from weenats.streams import apply_streams, plan_streams
from weenats.streams.settings import SERVICE
from weenats.transport.jetstream import JetStream
from weenats.transport.nats import NatsTransport

if TYPE_CHECKING:
    from weenats.contract import ServiceContract

__all__ = ["CleanStreams", "clean_streams_on"]
CleanStreams = Callable[["ServiceContract"], None]
"""Creates the streams of a contract, empty and without consumers."""
_BUCKETS: Final = ("KV_{}-once", "KV_{}-limits", "OBJ_{}-large")
"""The buckets of a service, beside the streams that say whose they are."""


@contextmanager
def clean_streams_on(url: str) -> Generator[CleanStreams]:
    """Return what creates the streams of contracts; they are removed at the end.

    Args:
        url: the URL of the server.
    """
    contracts: list[ServiceContract] = []

    def create(contract: ServiceContract) -> None:
        contracts.append(contract)
        process_loop().run(_renew(url, contract, create=True))

    try:
        yield create
    finally:
        for each in contracts:
            process_loop().run(_renew(url, each, create=False))


async def _renew(url: str, contract: ServiceContract, *, create: bool) -> None:
    transport = NatsTransport(url)
    try:
        jetstream = JetStream(transport)
        buckets = {each.format(contract.name) for each in _BUCKETS}
        for each in await jetstream.streams():
            name = each.config.name
            if name in buckets or each.config.metadata.get(SERVICE) == contract.name:
                await jetstream.delete_stream(name)
        if create:
            await apply_streams(transport, await plan_streams(transport, contract.streams))
    finally:
        await transport.close()

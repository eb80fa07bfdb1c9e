"""What is known about how the servers keep streams: replicas, storage, and when disks are written.

Replicas and storage are in the information about a stream. When a server writes to its disk
(`sync_interval` of its configuration) only the system account of NATS tells: an operator can export
one request of it to the account of the service. Otherwise it is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic_core import from_json

from weenats.errors import ServiceError
from weenats.transport.jetstream import JetStream, StreamMissingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weenats.transport.base import Delivery, Transport
    from weenats.transport.jetstream import StreamInfo

__all__ = ["SERVERS", "Guarantee", "look_up_guarantees"]
SERVERS: Final = "$SYS.REQ.SERVER.PING.JSZ"
"""The request that each server answers with its JetStream configuration."""
_TIMEOUT: Final = 1.0
_QUIET: Final = 0.2
"""Seconds without a further answer after which there are no more servers."""
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Guarantee:
    """How the servers keep one stream.

    Attributes:
        stream: the name of the stream.
        replicas: how many servers keep it; 0 if the stream does not exist.
        storage: "file" or "memory".
        sync: after how many seconds at most a server writes to its disk what it has acknowledged;
            0 before it acknowledges, None if that is not known.
    """

    stream: str
    replicas: int
    storage: str
    sync: float | None

    @property
    def acknowledging(self) -> int:
        """How many servers have a message when it is acknowledged: most of them."""
        return self.replicas // 2 + 1

    def __str__(self) -> str:
        if not self.replicas:
            return "it does not exist"
        of = f" of {self.replicas}" if self.replicas > 1 else ""
        servers = "server" if self.replicas == 1 else "servers"
        return f"acknowledged by {self.acknowledging}{of} {servers}, {self._written()}"

    def _written(self) -> str:
        if self.storage == "memory":
            return "in memory"
        if self.sync is None:
            return "on disk later; the servers do not say when"
        return f"on disk within {self.sync:g} s" if self.sync else "on disk before that"


async def look_up_guarantees(transport: Transport, streams: Iterable[str]) -> list[Guarantee]:
    """Return how the servers keep streams.

    Args:
        transport: the connection.
        streams: the names of the streams.

    Raises:
        ServiceError: JetStream is not available; see Transport.request.
    """
    jetstream = JetStream(transport)
    found: list[StreamInfo | None] = []
    names = list(streams)
    for name in names:
        try:
            found.append(await jetstream.stream_info(name))
        except StreamMissingError:
            found.append(None)
    syncs = await _syncs(transport)
    return [
        Guarantee(name, 0, "file", None)
        if info is None
        else Guarantee(name, info.config.replicas, info.config.storage, _slowest(info, syncs))
        for name, info in zip(names, found, strict=True)
    ]


def _slowest(info: StreamInfo, syncs: Sequence[float]) -> float | None:
    """Return the longest time of all servers; None unless enough of them have answered."""
    if info.config.other.get("persist_mode") == "async" or len(syncs) < info.config.replicas:
        return None
    return max(syncs)


async def _syncs(transport: Transport) -> list[float]:
    """Return after how many seconds each server writes to its disk; [] if none answers."""
    try:
        answers = await transport.request_many(SERVERS, b"", timeout=_TIMEOUT, quiet=_QUIET)
    except ServiceError:  # the account may not ask
        return []
    found = [_sync(each) for each in answers]
    return [] if None in found else cast("list[float]", found)


def _sync(answer: Delivery) -> float | None:
    try:
        document: Any = from_json(answer.payload)
        config = document["data"]["config"]
        return 0.0 if config.get("sync_always") else config["sync_interval"] / _NANOSECONDS
    except (ValueError, KeyError, TypeError, AttributeError):
        return None

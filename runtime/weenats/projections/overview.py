"""The projections of streams and how far they are, as the server knows it: for operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from weenats._internal.timestamps import age
from weenats.errors import NotFoundError, ServiceError
from weenats.events.reader import continues
from weenats.projections.generation import POSITION, projection_bucket
from weenats.projections.generation_catalog import PROJECTION, STREAM, Catalog, Record, current
from weenats.protocol.subjects import stored_event
from weenats.streams.settings import SERVICE
from weenats.transport.jetstream import JetStream
from weenats.transport.jetstream.key_value import bucket_stream, bucket_subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weenats.transport.base import Transport
    from weenats.transport.jetstream import StreamInfo

__all__ = ["ProjectionState", "projection_states"]
_MAX_VIEWS: Final = 20
"""Views of one projection: others may have written the catalog, and each takes two requests."""


@dataclass(frozen=True, slots=True)
class ProjectionState:
    """How far a view of a projection is.

    Attributes:
        stream: the name of the stream whose events it reads.
        name: the name of the projection.
        version: the version of the projection; None if the view is unknown, since its bucket may
            not be read.
        generation: the number of the view; None as for the version.
        state: "live": queries read it; "building": it is not complete; None as for the version.
        position: the sequence of the last event that it has; None if that is unknown, for example
            since the view is in a database.
        lag: how many seconds ago the oldest event was stored that it does not have, 0 if it has
            all; None if that is unknown.
    """

    stream: str
    name: str
    version: int | None = None
    generation: int | None = None
    state: Literal["live", "building"] | None = None
    position: int | None = None
    lag: float | None = None


async def projection_states(
    transport: Transport, streams: Sequence[StreamInfo], stream: str
) -> list[ProjectionState]:
    """Return the views of the projections of a stream, whether an instance runs them or not.

    Views that were replaced are left out, and all but the newest twenty of a projection. What
    cannot be found out is None.

    Args:
        transport: the connection.
        streams: all streams of the account, with those of the buckets.
        stream: the name of the stream of events.
    """
    info = next((each for each in streams if each.config.name == stream), None)
    return [
        state
        for name in sorted(_projections(streams, stream))
        for state in await _states(transport, name, stream, info)
    ]


def _projections(streams: Sequence[StreamInfo], stream: str) -> Iterator[str]:
    for each in streams:
        name = each.config.metadata.get(PROJECTION, "")
        is_bucket = each.config.name == bucket_stream(projection_bucket(name))
        if is_bucket and each.config.metadata.get(STREAM) == stream:
            yield name


async def _states(
    transport: Transport, name: str, stream: str, info: StreamInfo | None
) -> list[ProjectionState]:
    try:
        records = await Catalog(transport, name).records(leader=False)
    except ServiceError:
        return [ProjectionState(stream, name)]
    shown = [each for each in records if not each.ready or each == current(records, each.version)]
    return [await _state(transport, name, each, stream, info) for each in shown[-_MAX_VIEWS:]]


async def _state(
    transport: Transport, name: str, record: Record, stream: str, info: StreamInfo | None
) -> ProjectionState:
    position = await _position(transport, name, record.number)
    lag = None
    service = None if info is None else info.config.metadata.get(SERVICE)
    if position is not None and info is not None and service is not None:
        is_stale = not continues(info, record.created, position + 1)
        lag = await _lag(transport, stream, service, 0 if is_stale else position)
    return ProjectionState(
        stream,
        name,
        record.version,
        record.number,
        "live" if record.ready else "building",
        position,
        lag,
    )


async def _position(transport: Transport, name: str, number: int) -> int | None:
    bucket = projection_bucket(name)
    subject = bucket_subject(bucket, f"{number}.position")
    try:
        message = await JetStream(transport).last(bucket_stream(bucket), subject)
    except ServiceError:
        return None
    return int(message.payload) if POSITION.fullmatch(message.payload) else None


async def _lag(transport: Transport, stream: str, service: str, position: int) -> float | None:
    subject = stored_event(service, "*", ">")
    try:
        oldest = await JetStream(transport).next(stream, subject, start=position + 1)
    except NotFoundError:
        return 0.0
    except ServiceError:
        return None
    return age(oldest.time)

"""The generations of a projection and how far they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from weenats.aggregates.relay import unsent_commits
from weenats.errors import PermissionDeniedError
from weenats.events.reader import continues, count_stored, stream_of
from weenats.projections.builder import opened
from weenats.projections.generation_catalog import Catalog, Record, current
from weenats.streams.store import info_of
from weenats.transport.jetstream import StreamMissingError

if TYPE_CHECKING:
    from weenats.projections.projection import Projection
    from weenats.transport.base import Transport

__all__ = ["GenerationStatus", "generation_status", "projection_status", "unsent"]


@dataclass(frozen=True, slots=True)
class GenerationStatus:
    """A generation and how far it is.

    Attributes:
        number: its number.
        version: the version of the projection.
        state: live: instances of this version read it; building: it is not complete; replaced: it
            will be removed.
        position: the sequence of the last event that its view has.
        lag: how many stored events its view does not have yet.
        is_stale: whether the stream was deleted and made anew, or has lost events, since the view
            was built: it gets no events, and has to be rebuilt.
    """

    number: int
    version: int
    state: Literal["live", "building", "replaced"]
    position: int
    lag: int
    is_stale: bool = False


async def projection_status(
    projection: Projection[Any], transport: Transport
) -> list[GenerationStatus]:
    """Return the generations of a projection, by number; [] if it was never built.

    Args:
        projection: the projection.
        transport: the connection.

    Raises:
        StreamMissingError: the stream of the events does not exist.
        ServiceError: see JetStream.last.
        Exception: what a view raises.
    """
    try:
        records = await Catalog(transport, projection.name).records()
    except StreamMissingError:
        return []
    return [await generation_status(projection, transport, each, records) for each in records]


async def generation_status(
    projection: Projection[Any], transport: Transport, record: Record, records: tuple[Record, ...]
) -> GenerationStatus:
    """Return how far a generation is.

    Args:
        projection: the projection.
        transport: the connection.
        record: the generation.
        records: all generations.

    Raises:
        StreamMissingError: the stream of the events does not exist.
        ServiceError: see JetStream.last.
        Exception: what the view raises.
    """
    async with opened(projection, transport, record.number) as view:
        position = await view.position()
        events = [each.event for each in projection.routes_of(view)]
    stream = stream_of(events)
    info = await info_of(transport, stream)
    is_stale = not continues(info, record.created, position + 1)
    lag = await count_stored(transport, *events, start=1 if is_stale else position + 1)
    state = _state(record, records)
    return GenerationStatus(record.number, record.version, state, position, lag, is_stale)


async def unsent(projection: Projection[Any], transport: Transport) -> int | None:
    """Return how many commits have events that are not in the stream of a projection yet.

    Events of aggregates that are kept in streams are first stored as commits.

    Args:
        projection: the projection.
        transport: the connection.

    Returns:
        Their number, 0 without such aggregates; None if this user may not ask.

    Raises:
        ServiceError: see JetStream.consumer_info.
    """
    events = [each.event for each in projection.routes_of(projection.view_of(transport, 1))]
    aggregates = sorted({each.path.partition(".")[0] for each in events if "." in each.path})
    try:
        return await unsent_commits(transport, stream_of(events).service, aggregates)
    except PermissionDeniedError:
        return None


def _state(record: Record, records: tuple[Record, ...]) -> Literal["live", "building", "replaced"]:
    if not record.ready:
        return "building"
    return "live" if record == current(records, record.version) else "replaced"

"""What operators see of the projections of a stream."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from testkit.parcels import COURIERS_STREAM, PARCELS_EVENTS_STREAM
from testkit.projections import COUNTS, NAME, TOTAL, Counting
from weenats import FailedPreconditionError, NatsTransport
from weenats.projections import Projection
from weenats.projections.bucket import PROJECTION, STREAM, ensure_bucket
from weenats.projections.builder import ProjectionBuilder
from weenats.projections.generation_catalog import Catalog
from weenats.projections.overview import ProjectionState, projection_states
from weenats.streams import apply_streams, plan_streams
from weenats.transport.jetstream import JetStream, bucket_config

EVENTS = PARCELS_EVENTS_STREAM.name


async def overview(transport: NatsTransport) -> list[ProjectionState]:
    """Return the views of the projections of the stream."""
    return await projection_states(transport, await JetStream(transport).streams(), EVENTS)


async def test_views_are_listed_while_nothing_runs(transport: NatsTransport, deliver: Any) -> None:
    """The live view of each version and those that are built, with what they lack."""
    await deliver(1, 2)
    assert await overview(transport) == []
    builder = ProjectionBuilder(COUNTS, transport)
    await builder.create()
    await builder.build()
    assert await overview(transport) == [ProjectionState(EVENTS, NAME, 1, 1, "live", 2, 0.0)]
    await deliver(3)
    created = (await JetStream(transport).stream_info(EVENTS)).created
    await Catalog(transport, NAME).begin(2, created)
    live, building = await overview(transport)
    assert (live.state, live.position, (live.lag or 0) > 0) == ("live", 2, True)
    assert building == ProjectionState(EVENTS, NAME, 2, 2, "building", None, None)


async def test_a_view_of_another_stream_is_late(transport: NatsTransport, deliver: Any) -> None:
    """It lacks all events of a stream that was made anew since."""
    await deliver(1, 2)
    builder = ProjectionBuilder(COUNTS, transport)
    await builder.create()
    await builder.build()
    await JetStream(transport).delete_stream(EVENTS)
    await apply_streams(transport, await plan_streams(transport, [PARCELS_EVENTS_STREAM]))
    await deliver(1)
    [live] = await overview(transport)
    assert (live.position, (live.lag or 0) > 0) == (2, True)


@pytest.mark.parametrize(
    "catalog",
    [b"", b"no json", b"[]", b'{"last": 1}', b'{"last": 1, "generations": [{"number": "x"}]}'],
)
async def test_what_others_have_written_is_shown_as_unknown(
    transport: NatsTransport, catalog: bytes
) -> None:
    """A catalog that is not valid costs its own row; a projection says that it is not valid."""
    jetstream = JetStream(transport)
    await ensure_bucket(jetstream, NAME, PARCELS_EVENTS_STREAM)
    await jetstream.publish(f"$KV.{NAME}-projection.catalog", catalog)
    foreign = replace(bucket_config("foreign"), metadata={PROJECTION: NAME, STREAM: EVENTS})
    await jetstream.create_stream(foreign)
    assert await overview(transport) == [ProjectionState(EVENTS, NAME)]
    await jetstream.delete_stream(foreign.name)
    with pytest.raises(FailedPreconditionError, match="delete the bucket to build"):
        await ProjectionBuilder(COUNTS, transport).build()


@pytest.mark.parametrize("position", [b"", b"x", b"-1", b"9" * 30, b"9" * 5000])
async def test_a_position_that_is_not_valid_is_unknown(
    transport: NatsTransport, deliver: Any, position: bytes
) -> None:
    """A position that others have written costs its own row."""
    await deliver(1)
    builder = ProjectionBuilder(COUNTS, transport)
    await builder.create()
    await builder.build()
    await JetStream(transport).publish(f"$KV.{NAME}-projection.1.position", position)
    assert await overview(transport) == [ProjectionState(EVENTS, NAME, 1, 1, "live", None, None)]


async def test_the_newest_views_are_listed(transport: NatsTransport) -> None:
    """A catalog with a great many views, which others have written, does not hold operators up."""
    await ensure_bucket(JetStream(transport), NAME, PARCELS_EVENTS_STREAM)
    views = [{"number": each, "version": each, "ready": True} for each in range(1, 1001)]
    catalog = json.dumps({"last": 1000, "generations": views}).encode()
    await JetStream(transport).publish(f"$KV.{NAME}-projection.catalog", catalog)
    assert [each.version for each in await overview(transport)] == [*range(981, 1001)]


async def test_a_name_belongs_to_one_stream(transport: NatsTransport, deliver: Any) -> None:
    """A projection of another stream does not get the views of the first one."""
    await deliver(1, 2)
    other = Projection(NAME, COUNTS.view, Counting, stream=COURIERS_STREAM)
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        async with other.run(transport) as others:
            for wrong in (others.view, others.status, ProjectionBuilder(other, transport).build):
                with pytest.raises(FailedPreconditionError, match=f"of the stream {EVENTS}"):
                    await wrong()
        assert await (await counts.view()).get(TOTAL) == 3


async def test_members_of_later_versions_are_ignored(transport: NatsTransport) -> None:
    """A catalog may have more than this version of weenats writes."""
    await ensure_bucket(JetStream(transport), NAME, PARCELS_EVENTS_STREAM)
    catalog = b'{"last": 4, "new": 1, "generations": [{"number": 4, "version": 1, "new": 1}]}'
    await JetStream(transport).publish(f"$KV.{NAME}-projection.catalog", catalog)
    [record] = await Catalog(transport, NAME).records()
    assert (record.number, record.version, record.ready) == (4, 1, False)

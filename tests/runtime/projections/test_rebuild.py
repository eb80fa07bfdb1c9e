"""Rebuilding a projection beside the view that is read."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from testkit.forks import fork
from testkit.parcels import PARCELS_EVENTS_STREAM
from testkit.projections import COUNTS, NAME, TOTAL, Counting, Failing, named, remove_projection
from testkit.rebuilds import kill_rebuilds, rebuild
from testkit.waiting import LIMIT, ask_until, eventually
from weenats import NatsTransport, NotFoundError
from weenats.projections import Projection
from weenats.projections.bucket import ensure_bucket
from weenats.projections.builder import GRACE, IDLE, Progress, ProjectionBuilder
from weenats.projections.generation_catalog import Catalog
from weenats.projections.lease import Lease
from weenats.projections.status import projection_status
from weenats.transport.jetstream import JetStream
from weenats_codegen.cli.main import main

SUM = 20 * 21 // 2
_WRITES = 8
"""Writes of a rebuild: begin, lease, two batches, complete, end of the lease, purge, remove."""


class Doubling(Counting):
    """Another version of the handlers."""

    async def delivered(self, event: Any) -> None:
        """Count everything twice."""
        await super().delivered(event)
        await super().delivered(event)


async def test_a_rebuild_swaps_views(transport: NatsTransport, deliver: Any) -> None:
    """The old view is read until the new one is complete, then removed."""
    await deliver(*range(1, 21))
    assert await projection_status(COUNTS, transport) == []
    seen: list[Progress] = []
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        old = await counts.view()
        builder = ProjectionBuilder(COUNTS, transport)
        assert await builder.build(seen.append, grace=0.05) == 2
        assert seen == [Progress(2, 20, 0)]
        async with asyncio.timeout(30):
            while (await counts.view()) is old:
                assert await old.get(TOTAL) == SUM
                await asyncio.sleep(0.01)
        view = await counts.view()
        assert await view.get(TOTAL) == SUM
        await deliver(21)
        await counts.caught_up()
        assert await view.get(TOTAL) == SUM + 21
        found = await ask_until(
            lambda views: len(views) == 1, partial(projection_status, COUNTS, transport)
        )
        assert await old.get(TOTAL) is None
        assert [each.number for each in found] == [2]


class TimingOut(Counting):
    """Handlers that something has a time limit for."""

    async def delivered(self, event: Any) -> None:
        """Fail at one event."""
        if event.data.count == 21:
            raise TimeoutError("of a driver")
        await super().delivered(event)


async def test_time_limit_of_a_handler_is_not_the_grace(
    transport: NatsTransport, deliver: Any
) -> None:
    """A handler that fails while the new view goes on beside the old one fails the rebuild."""
    projection = replace(COUNTS, handlers=TimingOut)
    await deliver(*range(1, 21))
    builder = ProjectionBuilder(projection, transport)
    await builder.create()
    building = asyncio.create_task(builder.build(grace=LIMIT))
    await ask_until(
        lambda views: bool(views) and views[0].state == "live",
        partial(projection_status, projection, transport),
    )
    await deliver(21)
    with pytest.raises(TimeoutError, match="of a driver"):
        await building


async def test_versions_have_their_own_views(
    transport: NatsTransport, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instances of an old version go on with theirs until the last one has ended."""
    later = Projection(NAME, COUNTS.view, Doubling, version=2, stream=PARCELS_EVENTS_STREAM)
    await deliver(*range(1, 21))
    async with later.run(transport) as new:
        async with COUNTS.run(transport) as old:
            await old.caught_up()
        async with COUNTS.run(transport) as old:
            await new.caught_up()
            await deliver(21)
            for running, factor in ((old, 1), (new, 2)):
                await running.caught_up()
                assert await (await running.view()).get(TOTAL) == (SUM + 21) * factor
    # A later generation of the higher version replaces that of the lower one.
    builder = ProjectionBuilder(later, transport)
    await builder.build()
    monkeypatch.setattr("weenats.projections.builder.IDLE", -1.0)
    assert len(await builder.remove_outdated(-1.0)) == 2
    [left] = await projection_status(later, transport)
    assert (left.version, left.state, left.lag) == (2, "live", 0)


async def test_view_of_an_instance_whose_projection_fails(
    transport: NatsTransport, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept while that instance waits until it tries again, without a lease meanwhile."""
    now = 0.0
    monkeypatch.setattr("weenats.projections.builder.monotonic", lambda: now)
    monkeypatch.setattr("weenats.projections.builder.IDLE", IDLE)
    await deliver(1)
    old, new = (ProjectionBuilder(replace(COUNTS, version=each), transport) for each in (1, 2))
    await old.create()
    await old.build()
    await new.build()
    for now in (0.0, 30.0, 60.0):  # noqa: B007 - the clock
        lease = old.lease(1)
        assert await lease.take()
        with pytest.raises(OSError, match="of the handler"):
            await lease.run(fail())
        assert await new.remove_outdated(GRACE) == []
    now += IDLE
    assert await new.remove_outdated(GRACE) == [1]


async def test_numbers_of_a_deleted_bucket(
    transport: NatsTransport, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Views in a bucket that was made anew stay as long as any others once they are replaced."""
    now = 0.0
    monkeypatch.setattr("weenats.projections.builder.monotonic", lambda: now)
    await deliver(1)
    builder = ProjectionBuilder(COUNTS, transport)
    for now in (0.0, 100.0):  # noqa: B007 - the clock
        await builder.create()
        await builder.build()
        await builder.build()
        assert await builder.remove_outdated(GRACE) == []
        await JetStream(transport).delete_stream(f"KV_{NAME}-projection")


async def fail() -> None:
    """Fail as a handler does."""
    raise OSError("of the handler")


async def test_a_killed_rebuild_is_finished_later(
    transport: NatsTransport, deliver: Any, nats_url: str
) -> None:
    """Whenever it is killed, the view that is read is complete, and another rebuild finishes."""
    await deliver(*range(1, 21))
    names = [f"counts-{number}" for number in range(_WRITES + 1)]
    await asyncio.gather(*(prepare(transport, name) for name in names))
    with fork(kill_rebuilds, nats_url, names) as rebuilds:
        assert await rebuilds.receive() == [9] * _WRITES + [0]
    await asyncio.gather(*(check_and_rebuild(transport, nats_url, name) for name in names))


async def prepare(transport: NatsTransport, name: str) -> None:
    """Build the first generation of a projection."""
    builder = ProjectionBuilder(named(name), transport)
    await builder.create()
    await builder.build()


async def check_and_rebuild(transport: NatsTransport, url: str, name: str) -> None:
    """Check that the live view of a projection is complete; rebuild it, and check it again."""
    async with named(name).run(transport) as counts:
        assert await (await counts.view()).get(TOTAL) == SUM
    await rebuild(url, name)
    builder = ProjectionBuilder(named(name), transport)
    async with asyncio.timeout(30):  # the lease of the killed one ends
        while len(await builder.catalog.records()) > 1:
            await builder.remove_outdated(-1.0)
            await asyncio.sleep(0.05)
    [live] = await projection_status(named(name), transport)
    assert (live.state, live.position, live.lag) == ("live", 20, 0)
    async with named(name).run(transport) as counts:
        assert {key: value async for key, value in (await counts.view()).items()} == {
            TOTAL: SUM,
            ("p-0",): 110,
            ("p-1",): 100,
        }
    await remove_projection(url, name)


async def test_one_instance_builds(
    transport: NatsTransport, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others wait for the generation that it builds, and take it over if it stops."""
    await deliver(*range(1, 21))
    builders = [ProjectionBuilder(COUNTS, transport) for _ in range(3)]
    await builders[0].create()
    catalog = builders[0].catalog
    created = (await JetStream(transport).stream_info(PARCELS_EVENTS_STREAM.name)).created
    lease = Lease(catalog.bucket, (await catalog.begin(1, created)).number, COUNTS.name)
    with monkeypatch.context() as patch:
        patch.setattr("weenats.projections.lease.LEASE", 1.0)
        assert await lease.take()
    seen: list[Progress] = []
    waiting = [asyncio.create_task(each.build(seen.append)) for each in builders]
    await eventually(lambda: len(seen) >= 3)
    assert seen[0] == Progress(1, None, 0)
    assert await asyncio.gather(*waiting) == [1, 1, 1]
    assert [each for each in seen if each.position is not None] == [Progress(1, 20, 0)]
    with pytest.raises(NotFoundError, match="generation 9 of parcel-counts-projection was removed"):
        await catalog.complete(9)


async def test_changes_of_the_catalog_do_not_get_lost(transport: NatsTransport) -> None:
    """Instances that change it at the same time get different numbers."""
    await ensure_bucket(JetStream(transport), NAME, PARCELS_EVENTS_STREAM)
    catalogs = [Catalog(transport, NAME) for _ in range(5)]
    now = datetime.now(UTC)
    await asyncio.gather(*(each.begin(number, now) for number, each in enumerate(catalogs, 1)))
    records = await catalogs[0].records()
    assert [each.number for each in records] == [1, 2, 3, 4, 5]
    assert {each.version for each in records} == {1, 2, 3, 4, 5}


class FailingAt20(Failing):
    """Fails at the last event."""

    broken = 20


BROKEN = replace(COUNTS, handlers=FailingAt20)


def counts() -> object:
    """Return the projection."""
    return COUNTS


def nothing() -> object:
    """Return something else."""
    return 1


def with_argument(_: int) -> object:
    """Cannot be called."""
    return COUNTS


async def test_the_command(
    transport: NatsTransport,
    deliver: Any,
    nats_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`weenats rebuild` builds, tells what it does, and shows what there is."""
    monkeypatch.setattr("weenats_codegen.cli.rebuild._REPORT", 0.0)

    async def run(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["rebuild", *arguments, "--servers", nats_url])
        shown = capsys.readouterr()
        return code, shown.out, " ".join(shown.err.split())

    await deliver(*range(1, 21))
    here = f"{__name__}:"
    assert await run(f"{here}COUNTS", "--status") == (0, "it was never built\n", "")
    code, out, err = await run(f"{here}counts", "--grace", "0")
    assert (code, out) == (0, "parcel-counts: generation 1 is live\n")
    assert err == "weenats: parcel-counts, generation 1: at event 20, 0 to go"
    code, out, _ = await run(f"{here}COUNTS", "--grace", "0.1", "--json")
    assert json.loads(out) == {"projection": NAME, "generation": 2, "removed": [1]}
    code, out, err = await run(f"{here}BROKEN")
    assert code == 1
    assert "the projection parcel-counts raised KeyError" in err
    code, out, _ = await run(f"{here}COUNTS", "--status", "--json")
    assert json.loads(out) == [
        {"generation": 2, "version": 1, "state": "live", "position": 20, "lag": 0, "unsent": 0},
        {"generation": 3, "version": 1, "state": "building", "position": 19, "lag": 1, "unsent": 0},
    ]
    code, out, _ = await run(f"{here}COUNTS", "--status")
    assert "building" in out
    assert (await run(f"{here}COUNTS", "--grace", "0"))[:2] == (
        0,
        "parcel-counts: generation 3 is live; removed: 2\n",
    )
    for name, told in (
        ("nothing", "must be a Projection, or a function that returns one, not"),
        ("Doubling", "not class Doubling"),
        ("with_argument", "requires arguments: name a function that takes none"),
        ("missing", "has no missing; known are BROKEN, COUNTS"),
        ("COUNT", "has no COUNT; did you mean COUNTS?"),
    ):
        code, _, err = await run(f"{here}{name}")
        assert code == 1
        assert told in err

"""Projections that services run: each event once, whatever fails, whichever instance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from operator import is_not
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from testkit.parcels import (
    CONTRACT,
    PARCELS_EVENTS_STREAM,
    Delivered,
    Parcels,
    ParcelsClient,
    Recorder,
    parcel_streams,
)
from testkit.projections import COUNTS, NAME, TOTAL, Counting, Failing, SqlView
from testkit.tcp_proxy import TcpProxy
from testkit.transports import connected
from testkit.waiting import LIMIT, ask_until, eventually, settle, until
from weenats import (
    AbortedError,
    ConnectionClosedError,
    ConnectionLostError,
    ConnectionOptions,
    FailedPreconditionError,
    NatsServiceBuilder,
    NatsTransport,
    ServiceError,
    UnavailableError,
    WrongEventLoopError,
)
from weenats.errors import connection_error
from weenats.events import ReceivedEvent, consume
from weenats.projections import KeyValueView, Projection
from weenats.projections import running as running_module
from weenats.projections.bucket import ensure_bucket
from weenats.projections.builder import ProjectionBuilder, opened
from weenats.projections.follower import Follower
from weenats.projections.generation import projection_bucket
from weenats.projections.generation_catalog import Catalog
from weenats.projections.lease import Lease
from weenats.projections.running import _failures_in_a_row
from weenats.streams import apply_streams, plan_streams
from weenats.streams.store import missing
from weenats.testing import NatsServer
from weenats.transport.jetstream import (
    JetStream,
    KeyValue,
    StreamReplacedError,
    WrongSequenceError,
    bucket_config,
)
from weenats.transport.jetstream.key_value import bucket_stream, bucket_subject


class FailingAt20(Failing):
    """Fails at the last of some events."""

    broken = 20


def test_a_failure_long_after_the_last_one_is_the_first() -> None:
    """Failures in a row are counted; after more than the longest pause the count begins anew."""
    longest = running_module._PAUSES[-1]
    assert _failures_in_a_row(0, longest / 2) == 1
    assert _failures_in_a_row(2, longest) == 3
    assert _failures_in_a_row(7, longest + 1) == 1


async def test_a_view_has_all_events(transport: NatsTransport, deliver: Any) -> None:
    """Events from before and after the start are in the view, each once."""
    await deliver(*range(1, 51))
    async with COUNTS.run(transport) as counts:
        with pytest.raises(UnavailableError, match="no complete view of version 1 yet"):
            await counts.view()
        await counts.caught_up()
        view = await counts.view()
        assert await view.get(TOTAL) == 50 * 51 // 2
        assert await view.get("p-1") == sum(range(1, 51, 2))
        assert await view.get("p-2") is None
        await deliver(100)
        await counts.caught_up()
        assert await view.get(TOTAL) == 50 * 51 // 2 + 100
        assert [each async for each in view.items("all")] == [(TOTAL, 1375)]
        keys = {key async for key, _ in view.items()}
        assert keys == {TOTAL, ("p-0",), ("p-1",)}
        state = await counts.status()
        assert (state.number, state.state, state.position, state.lag) == (1, "live", 51, 0)


async def test_events_share_no_context_variables(transport: NatsTransport, deliver: Any) -> None:
    """What the handler of an event sets is not seen by that of the next one."""
    variable = ContextVar("variable", default="none")
    seen: list[str] = []

    class Setting(Counting):
        async def delivered(self, event: ReceivedEvent[Delivered]) -> None:
            seen.append(variable.get())
            variable.set(event.key)

    variable.set("a request")
    await deliver(1, 2, 3)
    async with replace(COUNTS, handlers=Setting).run(transport) as counts:
        await counts.caught_up()
    assert seen == ["none"] * 3


async def test_another_instance_goes_on(transport: NatsTransport, deliver: Any) -> None:
    """One instance changes the view; when it ends, another one goes on where it was."""
    await deliver(*range(1, 11))
    async with COUNTS.run(transport) as second:
        async with COUNTS.run(transport) as first:
            await first.caught_up()
            await deliver(*range(11, 21))
            await second.caught_up()
        await deliver(*range(21, 31))
        await second.caught_up()
        assert await (await second.view()).get(TOTAL) == 30 * 31 // 2


async def test_a_view_in_a_database(transport: NatsTransport, deliver: Any, tmp_path: Path) -> None:
    """A database keeps the position with what the handlers change."""
    sums = Projection(
        NAME,
        lambda generation: SqlView(tmp_path / "sums", generation.number),
        Counting,
        stream=PARCELS_EVENTS_STREAM,
    )
    await deliver(*range(1, 21))
    for more in (0, 7):
        async with sums.run(transport) as running:
            await deliver(more)
            await running.caught_up()
            assert await (await running.view()).get(TOTAL) == 210 + more


async def test_a_failing_handler_stops_the_view(
    transport: NatsTransport, deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The view gets what is before the failing event, and all of it once it is repaired."""

    class Broken(Failing):
        broken = 70

    await deliver(*range(1, 101))
    broken = Projection(NAME, COUNTS.view, Broken, stream=PARCELS_EVENTS_STREAM)
    async with broken.run(transport) as counts:
        await until(lambda: "projection parcel-counts failed" in caplog.text)
        assert "KeyError" in caplog.text
        assert "the handler of event 70, parcel.delivered" in caplog.text
        async with opened(COUNTS, transport, 1) as view:
            assert await view.position() == 69
            assert await view.get(TOTAL) == 69 * 70 // 2
        Broken.broken = None  # type: ignore[assignment]  # repaired
        await counts.caught_up()
        assert await (await counts.view()).get(TOTAL) == 100 * 101 // 2


async def test_a_stream_that_has_lost_events(
    transport: NatsTransport, deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A view with events that its stream does not have stops, and leaves no events out."""
    await deliver(1)
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
    bucket = JetStream(transport).key_value(f"{NAME}-projection")
    await bucket.put("1.position", b"1000")  # as if the stream had had so many
    async with COUNTS.run(transport) as counts:
        await until(lambda: counts.health.check().message is not None)
        await deliver(2)
        assert await (await counts.view()).get(TOTAL) == 1
    assert "or has lost events, since its events were read" in caplog.text


async def test_a_missing_stream_is_waited_for(
    transport: NatsTransport, deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names what creates the stream, without a traceback; then the projection goes on."""
    await JetStream(transport).delete_stream(PARCELS_EVENTS_STREAM.name)
    async with COUNTS.run(transport) as counts:
        await until(lambda: "weenats streams apply" in caplog.text)
        assert "Traceback" not in caplog.text
        await apply_streams(transport, await plan_streams(transport, [PARCELS_EVENTS_STREAM]))
        await deliver(5)
        await counts.caught_up()
        assert await (await counts.view()).get(TOTAL) == 5


async def make_anew(transport: NatsTransport) -> None:
    """Delete the stream, and create it again."""
    await JetStream(transport).delete_stream(PARCELS_EVENTS_STREAM.name)
    await apply_streams(transport, await plan_streams(transport, [PARCELS_EVENTS_STREAM]))


@pytest.mark.parametrize("when", ["while it runs", "while it was stopped", "with more events"])
async def test_a_stream_that_was_made_anew_is_noticed(
    transport: NatsTransport, deliver: Any, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The view stays as it was, and says so, until it is rebuilt."""
    await deliver(1, 2)
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        if when == "while it runs":
            await make_anew(transport)
            await until(lambda: "was deleted and made anew" in caplog.text)
    if when != "while it runs":
        await make_anew(transport)
    await deliver(*range(10, 13 if when == "with more events" else 11))
    async with COUNTS.run(transport) as counts:
        await until(lambda: counts.health.check().status == "error")
        assert "`weenats rebuild MODULE:PROJECTION`" in (counts.health.check().message or "")
        with pytest.raises(StreamReplacedError, match="was deleted and made anew"):
            await counts.caught_up()
        state = await counts.status()
        assert state.is_stale
        assert (state.position, state.lag) == (2, 3 if when == "with more events" else 1)
        assert await (await counts.view()).get(TOTAL) == 3
        builder = ProjectionBuilder(COUNTS, transport)
        assert await builder.build() == 2
        await until(lambda: counts.health.check().status == "ok")
        await deliver(100)
        await counts.caught_up()
        total = 10 + 11 + 12 if when == "with more events" else 10

        async def shown() -> int | None:
            return await (await counts.view()).get(TOTAL)

        assert await ask_until(lambda found: found == total + 100, shown)


@pytest.mark.parametrize("how", ["delete_stream", "purge"])
async def test_a_bucket_that_somebody_empties_is_built_anew(
    transport: NatsTransport, deliver: Any, how: str
) -> None:
    """While it runs; queries are UNAVAILABLE meanwhile."""
    await deliver(1, 2)
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        await getattr(JetStream(transport), how)(f"KV_{NAME}-projection")
        await deliver(3)
        async with asyncio.timeout(LIMIT):
            while True:
                with suppress(ServiceError):
                    await counts.caught_up()
                    if await (await counts.view()).get(TOTAL) == 6:
                        break
                await asyncio.sleep(0.01)


async def test_a_sealed_bucket_stops_the_view(transport: NatsTransport, deliver: Any) -> None:
    """Health says so, queries get what it has; once it is deleted, the view is built anew."""
    await deliver(1, 2)
    jetstream, name = JetStream(transport), f"KV_{NAME}-projection"
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        config = (await jetstream.stream_info(name)).config
        await jetstream.update_stream(replace(config, other={**config.other, "sealed": True}))
        await deliver(3)
        await until(lambda: counts.health.check().status == "error")
        assert "sealed), which cannot be changed back" in str(counts.health.check().message)
        assert await (await counts.view()).get(TOTAL) == 3
        assert (await counts.status()).lag == 1
        await jetstream.delete_stream(name)
        await until(lambda: counts.health.check().message is None)
        await counts.caught_up()
        assert await (await counts.view()).get(TOTAL) == 6


EDITED: dict[str, dict[str, Any]] = {
    "history": {"max_messages_per_subject": 5},
    "ttl": {"max_age": 120.0},
    "size": {"max_bytes": 10_000_000, "discard": "old"},
    "count": {"max_messages": 1000},
    "discard": {"discard": "old"},
    "value size": {"other": {"max_msg_size": 10}},
    "atomic": {"allow_atomic": False},
    "direct": {"allow_direct": False},
    "markers": {"marker_ttl": None},
    "no_ack": {"allow_atomic": False, "other": {"no_ack": True}},
}


@pytest.mark.parametrize("what", EDITED)
async def test_settings_of_the_bucket_are_restored(
    transport: NatsTransport,
    deliver: Any,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While the projection runs, and the log says what was edited, and if values may be lost."""
    monkeypatch.setattr(running_module, "_INSPECTION", 0.02)
    jetstream, name = JetStream(transport), f"KV_{NAME}-projection"
    await deliver(1, 2)
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        config = (await jetstream.stream_info(name)).config
        changes = dict(EDITED[what])
        other = {**config.other, **changes.pop("other", {})}
        await jetstream.update_stream(replace(config, **changes, other=other))
        await until(lambda: f"somebody has changed the bucket {name}" in caplog.text)
        await deliver(3)
        await counts.caught_up()
        assert (await jetstream.stream_info(name)).config == config
        assert await (await counts.view()).get(TOTAL) == 6
    assert ("may have been lost" in caplog.text) == (what in {"ttl", "size"})


async def test_settings_of_the_bucket_are_restored_at_the_start(
    transport: NatsTransport, deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """More replicas would stay, and so does the description."""
    jetstream, name = JetStream(transport), f"KV_{NAME}-projection"
    await ensure_bucket(jetstream, NAME, PARCELS_EVENTS_STREAM)
    config = replace((await jetstream.stream_info(name)).config, description="mine")
    await jetstream.update_stream(replace(config, max_messages_per_subject=64))
    await deliver(1)
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
    assert (await jetstream.stream_info(name)).config == config
    assert "max_messages_per_subject; it gets its settings back" in caplog.text


async def test_replicas_that_a_server_cannot_keep(
    transport: NatsTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """A projection works with less replicas than its stream should have; other settings return."""
    jetstream, name = JetStream(transport), f"KV_{NAME}-projection"
    await ensure_bucket(jetstream, NAME, PARCELS_EVENTS_STREAM)
    config = (await jetstream.stream_info(name)).config
    await jetstream.update_stream(replace(config, max_messages_per_subject=64))
    await ensure_bucket(JetStream(transport), NAME, replace(PARCELS_EVENTS_STREAM, replicas=3))
    assert (await jetstream.stream_info(name)).config == config
    assert f"{name} keeps 1 replicas" in caplog.text


async def test_a_new_view_does_not_take_over_an_old_table(
    transport: NatsTransport, deliver: Any, tmp_path: Path
) -> None:
    """After the bucket is gone numbers begin again, and a database may have such a view."""

    class Doubling(Counting):
        async def delivered(self, event: Any) -> None:
            await super().delivered(event)
            await super().delivered(event)

    sums = Projection(
        NAME,
        lambda generation: SqlView(tmp_path / "sums", generation.number),
        Counting,
        stream=PARCELS_EVENTS_STREAM,
    )
    await deliver(1, 2)
    async with sums.run(transport) as running:
        await running.caught_up()
    await JetStream(transport).delete_stream(f"KV_{NAME}-projection")
    async with replace(sums, handlers=Doubling, version=2).run(transport) as doubled:
        await doubled.caught_up()
        assert await (await doubled.view()).get(TOTAL) == 6


async def test_a_build_begins_anew_with_the_stream(transport: NatsTransport, deliver: Any) -> None:
    """What was built of a stream that is gone is not gone on with."""
    await deliver(*range(1, 21))
    broken = replace(COUNTS, handlers=FailingAt20)
    builder = ProjectionBuilder(broken, transport)
    await builder.create()
    with pytest.raises(KeyError):
        await builder.build()
    await make_anew(transport)
    await deliver(7)
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        assert (await counts.status()).number == 2
        assert await (await counts.view()).get(TOTAL) == 7


async def test_an_invalid_event_keeps_those_before_it(
    transport: NatsTransport, deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The view gets all events before one that does not match the contract; the log names it."""
    await deliver(1, 2)
    await JetStream(transport).publish("parcels.stream.0.parcel.delivered", b"{}")
    await deliver(3)
    async with COUNTS.run(transport):
        await until(lambda: "event 3 of the stream parcels-events" in caplog.text)
    async with opened(COUNTS, transport, 1) as view:
        assert (await view.get(TOTAL), await view.position()) == (3, 2)


async def test_a_view_has_what_was_delivered_before_a_purge(
    transport: NatsTransport, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that arrived are applied, although those that followed them never come."""
    monkeypatch.setattr("weenats.events.reader._AHEAD", 2)
    monkeypatch.setattr("weenats.projections.follower._AT_ONCE", 3)
    await deliver(*range(1, 21))

    class Purging(Counting):
        async def delivered(self, event: Any) -> None:
            await JetStream(transport).purge(PARCELS_EVENTS_STREAM.name)
            await super().delivered(event)

    builder = ProjectionBuilder(replace(COUNTS, handlers=Purging), transport)
    await builder.create()
    async with asyncio.timeout(LIMIT):
        await builder.build()
    async with opened(COUNTS, transport, 1) as view:
        position = await view.position()
        assert 0 < position < 20
        assert await view.get(TOTAL) == position * (position + 1) // 2


@pytest.mark.parametrize("entry", [b"[]", b'{"last":0,"generations":[],"stream":"of-others"}'])
async def test_an_invalid_catalog_is_no_fault_of_callers(
    transport: NatsTransport, entry: bytes
) -> None:
    """Callers of a handler that reads the view get INTERNAL, without the names of buckets."""
    await ProjectionBuilder(COUNTS, transport).create()
    await JetStream(transport).key_value(projection_bucket(NAME)).put("catalog", entry)
    async with COUNTS.run(transport) as counts:
        with pytest.raises(FailedPreconditionError) as raised:
            await counts.view()
        assert raised.value.of_connection


async def test_a_late_writer_changes_nothing(transport: NatsTransport, deliver: Any) -> None:
    """An instance that lost its lease without noticing it cannot change the view."""
    await deliver(1, 2)
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
    async with opened(COUNTS, transport, 1) as late, opened(COUNTS, transport, 1) as view:
        writer = Follower(COUNTS, transport, late)
        await writer.run(follow=False)
        await deliver(3)
        await Follower(COUNTS, transport, view).run(follow=False)
        position, late.position = late.position, lambda: asyncio.sleep(0, 2)  # type: ignore[method-assign,assignment]
        with pytest.raises(WrongSequenceError):
            await writer.run(follow=False)
        late.position = position  # type: ignore[method-assign]
        await writer.run(follow=False)
        assert await view.get(TOTAL) == 6


async def test_a_lost_lease_ends_the_work(
    transport: NatsTransport, deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An instance whose lease another one has stops, and takes part again."""
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        jetstream, bucket = JetStream(transport), f"{NAME}-projection"
        await until_taken(jetstream.key_value(bucket))
        await jetstream.publish(bucket_subject(bucket, "lease.1"), b"another", ttl=1)
        lost = "lost the lease of projection parcel-counts, generation 1"
        await until(lambda: lost in caplog.text)
        await deliver(4)
        await counts.caught_up()
        assert await (await counts.view()).get(TOTAL) == 4
    assert not any(each.exc_info for each in caplog.records)


async def until_taken(bucket: Any) -> None:
    """Wait until an instance has the lease of the first generation."""
    await ask_until(bool, partial(bucket.get, "lease.1"))


def test_a_projection_has_events_of_one_stream() -> None:
    """Names, versions and streams are checked at once."""
    with pytest.raises(ValueError, match="Counts"):
        Projection("Counts", COUNTS.view, Counting)
    with pytest.raises(ValueError, match="version is an integer of at least 1, not 0"):
        Projection("counts", COUNTS.view, Counting, version=0)
    both = Projection(NAME, COUNTS.view, Counting)
    with pytest.raises(ValueError, match="a projection selects one with stream="):
        both.routes_of(both.view_of(NatsTransport("nats://127.0.0.1:1"), 1))
    assert len(CONTRACT.streams) == 2


async def test_views_that_were_replaced_are_closed(
    transport: NatsTransport,
    deliver: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A view stays open for queries while the next one is live; a view that stays is logged."""
    opened_views: list[int] = []

    class Watched(SqlView):
        async def open(self) -> None:
            await super().open()
            opened_views.append(self.number)

        async def close(self) -> None:
            await super().close()
            opened_views.remove(self.number)

        async def drop(self) -> None:
            raise OSError("locked")

    sums = Projection(
        NAME,
        lambda generation: Watched(tmp_path / "sums", generation.number),
        Counting,
        stream=PARCELS_EVENTS_STREAM,
    )
    await deliver(1)
    async with sums.run(transport) as running:
        await running.caught_up()
        for number in (1, 2, 3):
            view = await running.view()
            assert view.number == number
            await ProjectionBuilder(sums, transport).build()
            await ask_until(partial(is_not, view), running.view)
        await until(lambda: "cannot remove old views of parcel-counts" in caplog.text)
    assert opened_views == []


async def test_the_connection_may_end_first(transport: NatsTransport) -> None:
    """A projection ends with its connection, without an error."""
    other = NatsTransport(transport.servers)
    async with COUNTS.run(other) as counts:
        await counts.caught_up()
        await other.close()


async def test_a_lost_connection_is_no_unexpected_error(
    transport: NatsTransport, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so in a line, without a traceback."""

    async def fail(*_: Any) -> None:
        raise UnavailableError("away")

    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        text = "cannot remove old views of parcel-counts: UNAVAILABLE: away"
        with monkeypatch.context() as patch:
            patch.setattr(ProjectionBuilder, "remove_outdated", fail)
            await until(lambda: text in caplog.text)
    assert not any(each.exc_info for each in caplog.records if "remove old" in each.message)


@pytest.mark.parametrize("kind", [ConnectionLostError, UnavailableError])
async def test_a_projection_without_a_connection_says_so_in_a_line(
    kind: type[ServiceError],
    transport: NatsTransport,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that is away is no failure of the projection; its health does not name servers."""

    async def fail(*_: Any, **__: Any) -> None:
        error = connection_error(kind, "nats://hidden:4222 is away")
        error.add_note("of somebody else")  # only that of the follower says that it is a handler's
        raise error

    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        with monkeypatch.context() as patch:
            patch.setattr(Catalog, "records", fail)
            await until(lambda: counts.health.check().status == "error")
            assert counts.health.check().message == "NATS cannot be reached"
        await until(lambda: counts.health.check().status == "ok")
    assert "projection parcel-counts gets no events, retrying: UNAVAILABLE" in caplog.text
    assert not any(each.exc_info for each in caplog.records)


async def test_a_failing_call_of_a_handler_is_a_failure_of_the_projection(
    transport: NatsTransport, deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The view gets events although a service that is called is away; the log says where."""

    class Calling(Counting):
        async def delivered(self, event: Any) -> None:
            raise connection_error(UnavailableError, "no responders")

    calling = Projection(NAME, COUNTS.view, Calling, stream=PARCELS_EVENTS_STREAM)
    await deliver(1)
    async with calling.run(transport) as counts:
        await until(lambda: "projection parcel-counts failed" in caplog.text)
        assert counts.health.check().status == "ok"
    assert "the handler of event 1, parcel.delivered" in caplog.text


async def test_what_is_left_of_a_lease_is_taken_over(transport: NatsTransport) -> None:
    """An instance whose lease was not given back, as its connection broke, goes on at once."""
    first, second = ProjectionBuilder(COUNTS, transport), ProjectionBuilder(COUNTS, transport)
    await first.create()
    assert await first.lease(1).take()
    assert not await second.lease(1).take()
    assert await first.lease(1).take()
    await first.catalog.bucket.delete("lease.1")
    assert await second.lease(1).take()
    assert not await first.lease(1).take()


async def test_a_lease_outlives_a_failure(
    transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal that fails once is made up for; one that always fails loses the lease."""
    await ensure_bucket(JetStream(transport), NAME, PARCELS_EVENTS_STREAM)
    bucket = Catalog(transport, NAME).bucket
    update, failures = KeyValue.update, [UnavailableError("away")]
    renewed = asyncio.Event()

    async def failing(*arguments: Any, **options: Any) -> int:
        if failures:
            raise failures.pop()
        renewed.set()
        return await update(*arguments, **options)

    lease = Lease(bucket, 1, NAME)
    assert await lease.take()
    monkeypatch.setattr("weenats.projections.lease._RENEWALS", 500)
    monkeypatch.setattr(KeyValue, "update", failing)
    assert await lease.run(renewed.wait())
    assert not failures
    monkeypatch.setattr("weenats.projections.lease.LEASE", 1.0)
    assert await lease.take()
    failures += [UnavailableError("away")] * 9999
    with pytest.raises(AbortedError, match="lost the lease of projection parcel-counts"):
        await lease.run(asyncio.sleep(30))


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """JetStream may take an hour to answer, and a lease lasts as long."""
    monkeypatch.setattr(JetStream.__init__, "__defaults__", (3600.0,))
    monkeypatch.setattr("weenats.projections.lease.LEASE", 3600.0)


@pytest.mark.usefixtures("endless")
async def test_a_projection_ends_beside_a_server_that_hangs(
    own_nats_server: NatsServer,
) -> None:
    """`close_timeout` bounds the end, however long JetStream may take to answer."""
    async with parcel_streams(own_nats_server.url) as transport:
        await ParcelsClient(transport).publish_delivered("p-1", Delivered(count=1))
        options = ConnectionOptions(close_timeout=0.05)
        async with connected(own_nats_server.url, options) as impatient:
            async with asyncio.timeout(LIMIT), COUNTS.run(impatient) as counts:
                await counts.caught_up()
                own_nats_server.pause()
            own_nats_server.resume()
        async with asyncio.timeout(LIMIT), COUNTS.run(transport) as counts:
            await counts.caught_up()


@pytest.mark.usefixtures("endless")
async def test_a_lease_whose_taking_is_cancelled_beside_a_server_that_hangs(
    own_nats_server: NatsServer,
) -> None:
    """Its caller waits for half a second; when the server goes on, the lease is given back."""
    async with connected(own_nats_server.url) as transport:
        await ensure_bucket(JetStream(transport), NAME, PARCELS_EVENTS_STREAM)
        bucket = Catalog(transport, NAME).bucket
        own_nats_server.pause()
        taking = asyncio.create_task(Lease(bucket, 1, NAME).take())
        await settle()
        taking.cancel()
        await asyncio.wait_for(asyncio.wait([taking]), LIMIT)
        assert taking.cancelled()
        own_nats_server.resume()
        await ask_until(bool, Lease(bucket, 1, NAME).take)


async def test_a_lease_that_is_given_back_too_late(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the network held back until another instance has the lease does not end that one's."""
    monkeypatch.setattr("weenats.projections.lease.LEASE", 1.0)
    url = "nats://127.0.0.1:{}"
    async with connected(nats_server.url) as transport, TcpProxy(nats_server.port) as link:
        await ensure_bucket(JetStream(transport), NAME, PARCELS_EVENTS_STREAM)
        bucket = Catalog(transport, NAME).bucket
        async with connected(url.format(link.port)) as slow:
            lease = Lease(Catalog(slow, NAME).bucket, 1, NAME)
            assert await lease.take()
            lease._expires = monotonic() + LIMIT
            link.stall()
            await lease.run(settle())
            await ask_until(bool, Lease(bucket, 1, NAME, b"other").take)
            monkeypatch.setattr("weenats.projections.lease.LEASE", LIMIT)
            assert await Lease(bucket, 1, NAME, b"other").take()
            link.heal()
            await slow.fence()
        assert not await Lease(bucket, 1, NAME).take()
        await JetStream(transport).delete_stream(bucket_stream(projection_bucket(NAME)))


async def test_a_lease_of_nobody_expires(
    transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key without a time to live, which somebody wrote, gets that of a lease."""
    monkeypatch.setattr("weenats.projections.lease.LEASE", 1.0)
    await ensure_bucket(JetStream(transport), NAME, PARCELS_EVENTS_STREAM)
    bucket = Catalog(transport, NAME).bucket
    await bucket.put("lease.1", b"nobody")
    lease = Lease(bucket, 1, NAME)
    await ask_until(bool, lease.take)


async def test_a_service_shows_why_a_projection_does_not_go_on(
    transport: NatsTransport, deliver: Any, nats_url: str
) -> None:
    """It is a check: an error without the stream, a message when a handler fails, else ok."""

    class Broken(Failing):
        broken = 5

    projection = Projection(NAME, COUNTS.view, Broken, stream=PARCELS_EVENTS_STREAM)

    class Handlers(Parcels):
        @asynccontextmanager
        async def lifespan(self) -> AsyncIterator[None]:
            await JetStream(transport).delete_stream(PARCELS_EVENTS_STREAM.name)
            async with projection.run(self.transport):
                yield

    async def shows(status: str, message: str | None) -> None:
        wanted = (f"projection {NAME}", status, message)
        async with asyncio.timeout(LIMIT):
            while True:
                data = (await parcels.check_health()).data
                assert data is not None
                if [(each.name, each.status, each.message) for each in data.checks] == [wanted]:
                    return
                await asyncio.sleep(0.01)

    service = NatsServiceBuilder(Handlers(), nats_url).build()
    async with service, ParcelsClient.connect(nats_url) as parcels:
        await shows("error", missing(PARCELS_EVENTS_STREAM).message)
        await apply_streams(transport, await plan_streams(transport, [PARCELS_EVENTS_STREAM]))
        await shows("ok", None)
        await deliver(5)
        await shows("ok", "stopped by KeyError; see the log")
        Broken.broken = None  # type: ignore[assignment]  # repaired
        await shows("ok", None)


class SlowToOpen(KeyValueView[int]):
    """A view whose opening takes a while, and that knows whether it is open."""

    is_closed = False

    async def open(self) -> None:
        """Open it."""
        await asyncio.sleep(0)
        await super().open()

    async def close(self) -> None:
        """Close it."""
        self.is_closed = True


async def test_queries_that_begin_together_read_one_view(
    transport: NatsTransport, deliver: Any
) -> None:
    """None of them closes the view of another one."""
    await deliver(1)
    slow = replace(COUNTS, view=lambda generation: SlowToOpen(generation, int))
    async with slow.run(transport) as counts:
        await counts.caught_up()
        views = await asyncio.gather(*(counts.view() for _ in range(5)))
        assert {id(each) for each in views} == {id(views[0])}
        assert not views[0].is_closed
    assert views[0].is_closed


async def test_no_view_is_read_after_the_end(transport: NatsTransport, deliver: Any) -> None:
    """A query that is late gets UNAVAILABLE, also if the view was still being opened."""
    await deliver(1)
    opening = asyncio.Event()

    class Blocked(KeyValueView[int]):
        async def open(self) -> None:
            opening.set()
            await asyncio.Event().wait()

    kind: type[KeyValueView[int]] = KeyValueView
    blocked = replace(COUNTS, view=lambda generation: kind(generation, int))
    async with blocked.run(transport) as counts:
        await counts.caught_up()
        kind = Blocked
        late = asyncio.create_task(counts.view())
        await opening.wait()
    with pytest.raises(UnavailableError, match="runs no more"):
        await late
    await deliver(1)
    with pytest.raises(UnavailableError, match="runs no more"):
        await asyncio.wait_for(counts.caught_up(), LIMIT)
    with pytest.raises(UnavailableError, match="runs no more"):
        await counts.view()


async def test_an_instance_that_ends_while_it_takes_the_lease_gives_it_back(
    transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one need not wait until the lease expires."""
    bucket = JetStream(transport).key_value("leases")
    await JetStream(transport).create_stream(bucket_config("leases"))
    create, taken = KeyValue.create, asyncio.Event()

    async def slow(self: KeyValue, *arguments: Any, **options: Any) -> int:
        revision = await create(self, *arguments, **options)
        if not taken.is_set():
            taken.set()
            await asyncio.sleep(0)
        return revision

    monkeypatch.setattr(KeyValue, "create", slow)
    taking = asyncio.create_task(Lease(bucket, 1, "p").take())
    await taken.wait()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert await Lease(bucket, 1, "p").take()
    await JetStream(transport).delete_stream(bucket_stream("leases"))


async def test_end_that_is_cancelled_goes_on(transport: NatsTransport, deliver: Any) -> None:
    """The views are closed although the caller no longer waits for it."""
    await deliver(1)
    slow = replace(COUNTS, view=lambda generation: SlowToOpen(generation, int))
    seen: list[SlowToOpen] = []

    async def block() -> None:
        async with slow.run(transport) as counts:
            await counts.caught_up()
            seen.append(await counts.view())

    running = asyncio.create_task(block())
    await until(lambda: seen)
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    await eventually(lambda: seen[0].is_closed)


@pytest.mark.parametrize("check", [0.02, LIMIT])
async def test_another_event_loop_is_refused(
    check: float, transport: NatsTransport, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for a view, reading it and ending a consumer on another loop fail at once."""
    monkeypatch.setattr(running_module, "CHECK", check)
    await deliver(1)
    consumer = await consume(transport, Recorder(), "other-loop")
    async with consumer, COUNTS.run(transport) as counts:
        await counts.caught_up()
        await counts.view()
        for use in (counts.caught_up, counts.view, counts.status, consumer.stop):

            async def run(use: Any = use) -> None:
                await asyncio.wait_for(use(), LIMIT)

            with pytest.raises(WrongEventLoopError):
                await asyncio.to_thread(lambda run=run: asyncio.run(run()))


async def test_leaving_the_block_on_another_event_loop(nats_url: str, deliver: Any) -> None:
    """Leaving the block elsewhere fails at once, whether the projection can end or not."""
    await deliver(1)
    async with connected(nats_url) as transport:
        block = COUNTS.run(transport)
        await (await block.__aenter__()).caught_up()

        async def leave() -> None:
            await asyncio.wait_for(block.__aexit__(None, None, None), LIMIT)

        with pytest.raises(WrongEventLoopError):
            await asyncio.to_thread(lambda: asyncio.run(leave()))


async def test_waiting_for_a_view_ends_with_the_connection(
    nats_url: str, transport: NatsTransport, deliver: Any
) -> None:
    """Whoever waits for a view gets an error when the connection is closed for good."""
    await deliver(1)
    closed = NatsTransport(nats_url)
    async with COUNTS.run(closed) as counts:
        await counts.caught_up()
        await closed.close()
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(counts.caught_up(), LIMIT)


async def test_query_that_is_cancelled_while_its_projection_ends(
    transport: NatsTransport, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query that is cancelled ends with the cancellation, also when its projection ends then."""
    await deliver(1)
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        monkeypatch.setattr(counts, "_look", asyncio.Event().wait)
        counts._checked = float("-inf")
        first, second = asyncio.create_task(counts.view()), asyncio.create_task(counts.view())
        await settle()
        closing = asyncio.create_task(counts.close())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([closing, first, second])
    assert first.cancelled()
    with pytest.raises(UnavailableError):
        await second

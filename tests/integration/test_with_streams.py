"""Services whose events are durable: with_streams, and publishing from handlers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from testkit.parcels import (
    CONTRACT,
    PARCELS_EVENTS_STREAM,
    Parcels,
    Shipped,
    parcel_streams,
    remove_streams,
)
from testkit.probe import Probe
from weenats import FailedPreconditionError, NatsServiceBuilder
from weenats.streams import apply_streams, plan_streams
from weenats.testing import MemoryBroker, MemoryTransport
from weenats.transport.jetstream import JetStream, JetStreamMissingError, StreamMissingError

STREAM = PARCELS_EVENTS_STREAM


async def test_streams_are_applied_at_the_start(nats_url: str) -> None:
    """A service creates its streams, so that its handlers can publish."""
    async with parcel_streams(nats_url) as transport:
        await remove_streams(nats_url)
        handlers = Parcels()
        builder = NatsServiceBuilder(handlers, nats_url)
        for _ in range(2):
            async with builder.with_streams("apply").build():
                await handlers.publish_shipped("p-1", Shipped(depot="A"))
        assert (await JetStream(transport).stream_info(STREAM.name)).messages == 2


async def test_missing_streams_are_created_by_default(nats_url: str) -> None:
    """A service creates streams and those of dead letters, and lets existing ones be."""
    async with parcel_streams(nats_url) as transport:
        jetstream = JetStream(transport)
        info = await jetstream.stream_info("couriers")
        await jetstream.update_stream(replace(info.config, max_age=None))
        for missing in (STREAM.name, f"{STREAM.name}-dead-letters"):
            await jetstream.delete_stream(missing)
        handlers = Parcels()
        for _ in range(2):
            async with NatsServiceBuilder(handlers, nats_url).build():
                await handlers.publish_shipped("p-1", Shipped(depot="A"))
        assert (await jetstream.stream_info(STREAM.name)).messages == 2
        assert (await jetstream.stream_info("couriers")).config.max_age is None
        plans = await plan_streams(transport, CONTRACT.streams)
        assert [each.name for each in plans if each.action != "none"] == ["couriers"]
        await apply_streams(transport, plans, force=True)


@pytest.mark.parametrize("mode", ["apply", "check", None])
async def test_subjects_of_newer_versions_stay(nats_url: str, mode: Any) -> None:
    """An instance that starts beside a newer version lets its events be stored."""
    newer = f"{CONTRACT.name}.stream.*.parcel.weighed"
    async with parcel_streams(nats_url) as transport:
        jetstream = JetStream(transport)
        config = (await jetstream.stream_info(STREAM.name)).config
        subjects = (*config.subjects[1:], newer)
        if mode == "check":
            subjects = (*config.subjects, newer)
        await jetstream.update_stream(replace(config, subjects=subjects))
        builder = NatsServiceBuilder(Parcels(), nats_url)
        async with (builder if mode is None else builder.with_streams(mode)).build():
            found = (await jetstream.stream_info(STREAM.name)).config.subjects
        assert set(found) == {*subjects, *(config.subjects if mode == "apply" else ())}
        await apply_streams(transport, await plan_streams(transport, CONTRACT.streams))


async def test_a_stream_that_vanishes_is_named(nats_url: str) -> None:
    """Publishing fails and says what to do, when the stream is deleted later."""
    handlers = Parcels()
    async with NatsServiceBuilder(handlers, nats_url).build():
        await remove_streams(nats_url)
        with pytest.raises(StreamMissingError, match=r'with_streams\("apply"\)'):
            await handlers.publish_shipped("p-1", Shipped(depot="A"))


async def test_no_service_without_jetstream() -> None:
    """A service with durable events does not start on a server without JetStream."""
    transport = MemoryTransport(MemoryBroker(jetstream=False))
    with pytest.raises(JetStreamMissingError):
        await NatsServiceBuilder(Parcels(), transport=transport).build().start()


async def test_a_check_compares_streams(nats_url: str) -> None:
    """With "check" a service starts if the streams are as in its contract, not otherwise."""
    await remove_streams(nats_url)
    builder = NatsServiceBuilder(Parcels(), nats_url).with_streams("check")
    with pytest.raises(
        FailedPreconditionError, match=r"of parcels are not .* parcels-events: crea"
    ):
        await builder.build().start()
    async with parcel_streams(nats_url), builder.build():
        pass


@pytest.mark.parametrize("mode", ["apply", "check"])
async def test_an_older_version_starts_after_a_newer_one(
    nats_url: str, mode: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Higher limits that a newer version has set stay at a rollback, and the log names them."""
    async with parcel_streams(nats_url) as transport:
        jetstream = JetStream(transport)
        info = await jetstream.stream_info("couriers")
        await jetstream.update_stream(replace(info.config, max_age=None))
        async with NatsServiceBuilder(Parcels(), nats_url).with_streams(mode).build():
            assert (await jetstream.stream_info("couriers")).config.max_age is None
        assert "couriers has more than the contract demands" in caplog.text
        assert "max_age: none, not 2592000" in caplog.text
        plans = await plan_streams(transport, CONTRACT.streams)
        with pytest.raises(FailedPreconditionError, match="--force"):
            await apply_streams(transport, plans)
        await apply_streams(transport, plans, force=True)


@pytest.mark.parametrize("mode", ["apply", "check"])
async def test_lower_limits_are_raised_or_a_difference(nats_url: str, mode: Any) -> None:
    """A stream that keeps less than the contract demands is none that a service is content with."""
    async with parcel_streams(nats_url) as transport:
        jetstream = JetStream(transport)
        config = (await jetstream.stream_info("couriers")).config
        await jetstream.update_stream(replace(config, max_age=3600.0))
        service = NatsServiceBuilder(Parcels(), nats_url).with_streams(mode).build()
        if mode == "check":
            with pytest.raises(FailedPreconditionError, match=r"max_age: 3600\.0 -> 2592000"):
                await service.start()
        else:
            async with service:
                pass
            assert (await jetstream.stream_info("couriers")).config.max_age == config.max_age
        await apply_streams(transport, await plan_streams(transport, CONTRACT.streams))


@pytest.mark.parametrize("mode", ["create", None])
def test_the_mode_is_checked(mode: Any) -> None:
    """An unknown mode, and a contract without durable events, are errors at once."""
    with pytest.raises(ValueError, match='mode is "apply" or "check"'):
        NatsServiceBuilder(Parcels()).with_streams(mode)
    with pytest.raises(ValueError, match="probe has no durable events"):
        NatsServiceBuilder(Probe()).with_streams("apply")

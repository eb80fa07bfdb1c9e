"""Services whose events are durable: with_streams, and publishing from handlers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from receipts.handlers import Receipts
from testkit.parcels import (
    CONTRACT,
    PARCELS_EVENTS_STREAM,
    Parcels,
    Shipped,
    parcel_streams,
    remove_streams,
)
from weenats import FailedPreconditionError, NatsServiceBuilder
from weenats.streams import apply_streams, plan_streams
from weenats.transport.jetstream import JetStream, StreamMissingError

STREAM = PARCELS_EVENTS_STREAM


async def test_streams_are_applied_at_the_start(nats_url: str) -> None:
    """A service creates its streams, so that its handlers can publish."""
    await remove_streams(nats_url)
    handlers = Parcels()
    builder = NatsServiceBuilder(handlers, nats_url)
    for _ in range(2):
        async with builder.with_streams("apply").build():
            await handlers.publish_shipped("p-1", Shipped(depot="A"))
    async with parcel_streams(nats_url) as transport:
        assert (await JetStream(transport).stream_info(STREAM.name)).messages == 2


async def test_without_with_streams_nothing_is_done(nats_url: str) -> None:
    """The service starts; publishing fails and says what to do."""
    await remove_streams(nats_url)
    handlers = Parcels()
    async with NatsServiceBuilder(handlers, nats_url).build():
        with pytest.raises(StreamMissingError, match=r'with_streams\("apply"\)'):
            await handlers.publish_shipped("p-1", Shipped(depot="A"))


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


async def test_apply_loses_nothing(nats_url: str) -> None:
    """A service does not start when applying might remove stored events."""
    async with parcel_streams(nats_url) as transport:
        info = await JetStream(transport).stream_info("couriers")
        longer = replace(info.config, max_age=None)
        await JetStream(transport).update_stream(longer)
        service = NatsServiceBuilder(Parcels(), nats_url).with_streams("apply").build()
        with pytest.raises(FailedPreconditionError, match="max_age: none -> 2592000"):
            await service.start()
        plans = await plan_streams(transport, CONTRACT.streams)
        await apply_streams(transport, plans, force=True)


@pytest.mark.parametrize("mode", ["create", None])
def test_the_mode_is_checked(mode: Any) -> None:
    """An unknown mode, and a contract without durable events, are errors at once."""
    with pytest.raises(ValueError, match='mode is "apply" or "check"'):
        NatsServiceBuilder(Parcels()).with_streams(mode)
    with pytest.raises(ValueError, match="receipts has no durable events"):
        NatsServiceBuilder(Receipts()).with_streams("apply")

"""Machines that lose power: what was acknowledged after the last sync is gone, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from testkit.contexts import make_context
from testkit.parcels import (
    PARCELS_EVENTS_STREAM,
    Delivered,
    ParcelsClient,
    Recorder,
    parcel_streams,
)
from testkit.power import Disk
from testkit.waiting import LIMIT, eventually
from testkit.wallets import builder, client, wallets
from weenats import UnavailableError
from weenats.events import consume
from weenats.testing import NatsServer
from weenats.transport.jetstream import JetStream

Amount = wallets.Amount
T = TypeVar("T")


@pytest.fixture
def disk(own_nats_server: NatsServer, tmp_path: Path) -> Disk:
    """The disk of the server."""
    return Disk(own_nats_server, tmp_path)


async def patient(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat what does not change anything while connections are opened again."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                return await call()
            except UnavailableError:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("kept", ["", "jetstream/*/streams/*/obs"])
async def test_events_after_the_last_sync_are_gone(
    own_nats_server: NatsServer, disk: Disk, kept: str
) -> None:
    """Of 42 acknowledged events the 12 after the sync are gone; consumers get what is new.

    Also when the progress of consumers was written, and is ahead of the stream.
    """
    async with parcel_streams(own_nats_server.url) as transport:
        parcels, recorder = ParcelsClient(transport), Recorder()
        async with await consume(transport, recorder, "billing"):

            async def publish(*counts: int) -> None:
                for count in counts:
                    event = Delivered(count=count)
                    await patient(lambda: parcels.publish_delivered("p-1", event))  # noqa: B023

            await publish(*range(30))
            await eventually(lambda: len(recorder.seen) == 30)
            disk.sync()
            await publish(*range(30, 42))
            await eventually(lambda: len(recorder.seen) == 42)
            disk.lose_power(kept)
            own_nats_server.start()
            stream = PARCELS_EVENTS_STREAM.name
            info = await patient(lambda: JetStream(transport).stream_info(stream))
            assert (info.messages, info.last_sequence) == (30, 30)
            await publish(100, 101, 102)
            news = [("p-1", 100), ("p-1", 101), ("p-1", 102)]
            await eventually(lambda: recorder.seen[-3:] == news)


async def test_states_after_the_last_sync_are_gone(own_nats_server: NatsServer, disk: Disk) -> None:
    """An instance that remembers a lost state decides on what is stored."""
    url = own_nats_server.url
    async with builder(url).build(), client(url) as caller:
        await caller.deposit("a", Amount(cents=1))
        disk.sync()
        await caller.deposit("a", Amount(cents=10))
        disk.lose_power()
        own_nats_server.start()
        assert (await patient(lambda: caller.get_wallet("a"))).state.balance == 1
        assert (await caller.deposit("a", Amount(cents=2))).balance == 3


async def test_lost_state_at_a_sequence_that_is_used_again(
    own_nats_server: NatsServer, disk: Disk
) -> None:
    """A sequence that another instance has used for another commit does not hide the loss."""
    url = own_nats_server.url
    async with builder(url).build() as first, client(url) as caller:
        await caller.deposit("a", Amount(cents=1))
        disk.sync()
        await caller.deposit("a", Amount(cents=10))
        await first._assembly.membership.close(1)  # it gets no requests
        disk.lose_power()
        own_nats_server.start()
        async with builder(url).build(), client(url) as other:
            assert (await other.deposit("a", Amount(cents=100))).balance == 101
        executor = first._assembly.aggregates.executors["wallet"]
        context = make_context(side="server", operation=wallets.GET_WALLET, key="a")
        found = await executor.entity(context)
        assert found.state.balance == 101

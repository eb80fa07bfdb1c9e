"""The permissions of a service that keeps aggregates in streams: sufficient, each one necessary."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

import pytest

from testkit.nats_users import as_user, config_of
from testkit.paths import GOLDEN
from testkit.waiting import eventually
from testkit.wallets import Wallets, wallets
from weenats import NatsServiceBuilder, NatsTransport, ServiceError
from weenats.protocol.identifiers import STAMPER
from weenats.streams import apply_streams, plan_streams
from weenats.testing import NatsServer
from weenats_codegen.loading import read
from weenats_codegen.permissions.entries import Entry, Permissions
from weenats_codegen.permissions.model import of_service
from weenats_codegen.permissions.stored import publishing

CONTRACT: Final = read(GOLDEN / "event-sourced" / "contract")
SERVICE: Final = of_service(CONTRACT)
ACKS: Final = next(each for each in SERVICE.publish if each.subject.startswith("$JS.ACK."))
OF_STREAMS: Final = [
    each
    for each in publishing(CONTRACT, None)
    if each.subject
    not in {
        "$KV.wallets-snapshots.approval.*",  # its keys have one event
        ACKS.subject,
        "$JS.API.CONSUMER.DELETE.wallets-commits.*",  # after somebody has changed one
    }
]
Amount = wallets.Amount


async def use(server: NatsServer) -> int:
    """Run a service with its permissions, use all of it, and return the events that arrived."""
    revisions: list[int] = []
    closed: list[object] = []

    async def note(event: object) -> None:
        revisions.append(event.revision)  # type: ignore[attr-defined]

    async def note_closed(event: object) -> None:
        closed.append(event)

    transport = NatsTransport(server.url, as_user("free"))
    try:
        await apply_streams(transport, await plan_streams(transport, wallets.CONTRACT.streams))
        async with wallets.WalletsClient(transport) as caller:
            await caller.subscribe_deposited(note)
            await caller.subscribe_closed(note_closed)
            for number in (1, 2):  # the second instance begins with a snapshot
                built = NatsServiceBuilder(Wallets(), server.url, connection=as_user("service"))
                async with built.with_aggregates(snapshot_every=3).build():
                    await happen(caller)
                    await eventually(
                        lambda number=number: len(closed) == number or "Violation" in server.log()
                    )
    finally:
        await transport.close()
    return len(revisions)


async def happen(caller: Any) -> None:
    """Store events and snapshots, be refused, and read."""
    for _ in range(5):
        await caller.deposit("w-1", Amount(cents=1), timeout=2)
    with suppress(wallets.NotEnoughMoneyError):
        await caller.withdraw("w-1", Amount(cents=100), timeout=2)
    await caller.get_wallet("w-1", timeout=2)
    await caller.deposit(other := STAMPER.new_id(), Amount(cents=1), timeout=2)
    await caller.empty(other, wallets.Empty(), timeout=2)
    await caller.decide(uuid4(), wallets.Decision(approved=True), timeout=2)


async def test_they_are_sufficient() -> None:
    """Everything works without a violation."""
    with NatsServer(config=config_of({"free": None, "service": SERVICE})) as server:
        assert await use(server) == 12
        assert "Violation" not in server.log()


@pytest.mark.slow
@pytest.mark.parametrize("entry", OF_STREAMS, ids=lambda entry: entry.subject)
async def test_each_is_necessary(entry: Entry) -> None:
    """Without it the service tries what it may not do."""
    kept = tuple(each for each in SERVICE.publish if each != entry)
    lacking: Permissions = replace(SERVICE, publish=kept)
    with NatsServer(config=config_of({"free": None, "service": lacking})) as server:
        with suppress(ServiceError):
            await use(server)
        assert "Violation" in server.log()


async def test_permission_to_acknowledge_is_necessary() -> None:
    """A server takes an ack for a reply, but not one that is repeated after a reconnect."""
    kept = tuple(each for each in SERVICE.publish if each != ACKS)
    lacking: Permissions = replace(SERVICE, publish=kept)
    events: list[object] = []

    async def note(event: object) -> None:
        events.append(event)

    with NatsServer(config=config_of({"free": None, "service": lacking})) as server:
        transport = NatsTransport(server.url, as_user("free"))
        await apply_streams(transport, await plan_streams(transport, wallets.CONTRACT.streams))
        built = NatsServiceBuilder(Wallets(), server.url, connection=as_user("service"))
        async with built.build(), wallets.WalletsClient(transport) as caller:
            await caller.subscribe_deposited(note)
            await caller.deposit("w-1", Amount(cents=1))
            await eventually(lambda: events)
            server.restart()
            await eventually(lambda: "Violation" in server.log())
        await transport.close()

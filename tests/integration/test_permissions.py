"""Generated permissions: sufficient as they are, and each entry is necessary."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from receipts import Finalize, ItemAdded
from receipts.handlers import Receipts
from testkit.nats_peer import Peer
from testkit.nats_users import CONTRACT, ROLES, as_user, config_of, user_without, users, without
from testkit.permission_scenario import (
    COFFEE,
    COMMANDS,
    EVENTS,
    GONE,
    VOID,
    refused_subjects,
    scenario,
)
from testkit.waiting import LIMIT, exceed_deadline, until
from weenats import (
    DeadlineExceededError,
    InternalError,
    NatsServiceBuilder,
    PermissionDeniedError,
    ReceivedEvent,
)
from weenats.protocol.partitions import partition_of
from weenats.testing import NatsServer
from weenats_codegen.permissions.entries import Entry
from weenats_codegen.permissions.model import Used, of_client, of_service

MONITORING = "receipts.monitoring"
STORED = [each for each in ROLES["service"].publish if ".stream." in each.subject]
STREAMS = [each for each in ROLES["service"].publish if each.subject.startswith("$JS.API.STREAM.")]
pytestmark = pytest.mark.usefixtures("single_instance")


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    """A server with one user per role and one user per missing entry."""
    with NatsServer(config=config_of(users())) as running:
        yield running


async def test_generated_permissions_are_sufficient(caplog: pytest.LogCaptureFixture) -> None:
    """All features work without a permissions violation."""
    with NatsServer(config=config_of({"free": None, **ROLES})) as server:
        snapshots: list[object] = []
        async with scenario(server) as these:
            these.free.transport.subscribe("receipts.monitoring", snapshots.append)
            await these.free.transport.fence()
            assert await these.run() == {}
            await until(lambda: snapshots)
            with pytest.raises(DeadlineExceededError):
                await these.client.get_receipt("held", timeout=0.05)
            for verb in ("PING", "INFO", "STATS"):
                found = await these.free.transport.request_many(
                    f"$SRV.{verb}", b"", timeout=5, quiet=0.1
                )
                assert len(found) == 1
            these.handlers.entered.clear()
            admitted = asyncio.create_task(these.client.get_receipt("held"))
            await these.handlers.entered.wait()
            stopping = asyncio.create_task(these.service.stop())
            these.handlers.opened.set()
            assert (await admitted).state.items
            await stopping
        assert refused_subjects(caplog) == []
        assert "Violation" not in server.log()


@pytest.mark.parametrize("entry", ROLES["client"].publish, ids=lambda entry: entry.subject)
async def test_client_without_publish_permission(
    server: NatsServer, entry: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    """Only what needs the denied subject fails, immediately and naming the subject."""
    async with scenario(server, client=user_without("client", entry)) as these:
        failed = await these.run()
        instance = these.service.instance_id
    refused = entry.subject.replace("*", instance)
    assert failed.keys() == {entry.subject}
    assert set(refused_subjects(caplog)) == {refused}
    error = failed[entry.subject]
    if entry.subject == "receipts.cancel":  # nobody waits who could be told
        assert isinstance(error, AssertionError)
    else:
        assert isinstance(error, PermissionDeniedError)
        assert f"use {refused} (publish)" in error.message


@pytest.mark.parametrize("entry", ROLES["client"].subscribe, ids=lambda entry: entry.subject)
async def test_client_without_subscribe_permission(server: NatsServer, entry: Entry) -> None:
    """Without its inbox no call works; without an event subject only that event fails."""
    async with scenario(server, client=user_without("client", entry)) as these:
        failed = await these.run()
    prefix = entry.subject.removesuffix(">")
    assert all(
        isinstance(error, PermissionDeniedError) and f"use {prefix}" in error.message
        for error in failed.values()
    )
    calls = {each.subject for each in ROLES["client"].publish} - {"receipts.cancel"}
    assert failed.keys() == (calls if prefix == "_INBOX_till." else {entry.subject})


@pytest.mark.parametrize("entry", ROLES["service"].subscribe, ids=lambda entry: entry.subject)
async def test_service_without_subscribe_permission(server: NatsServer, entry: Entry) -> None:
    """The service does not start and names the denied subject."""
    builder = NatsServiceBuilder(
        Receipts(), server.url, connection=as_user(user_without("service", entry))
    )
    service = builder.build()
    subject = entry.subject.partition(" ")[0].replace("*", service.instance_id).removesuffix(".>")
    with pytest.raises(PermissionDeniedError) as error:
        await asyncio.wait_for(service.start(), LIMIT)
    assert f"use {subject}" in error.value.message
    assert "(subscription)" in error.value.message
    assert not service.is_serving


async def test_service_without_permission_for_snapshots(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """They are not published; our log and the server's name the subject."""
    (entry,) = (each for each in ROLES["service"].publish if each.subject == MONITORING)
    snapshots: list[object] = []
    async with scenario(server, service=user_without("service", entry)) as these:
        these.free.transport.subscribe(MONITORING, snapshots.append)
        await these.free.transport.fence()
        assert await these.run() == {}
        await until(lambda: len(refused_subjects(caplog)) > 2)
        await these.free.check_health()  # what was sent before has arrived
        assert snapshots == []
    assert set(refused_subjects(caplog)) == {MONITORING}
    told = f'{user_without("service", entry)}" - Publish Violation - Subject "{MONITORING}"'
    await until(lambda: told in server.log())


@pytest.mark.parametrize("entry", STORED, ids=lambda entry: entry.subject)
async def test_service_without_permission_for_an_event(
    server: NatsServer, entry: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    """The command that emits it is INTERNAL; the logs of service and server name the subject."""
    event = entry.subject.rpartition(".")[2]
    async with scenario(server, service=user_without("service", entry)) as these:
        client = these.client
        if event != "item-added":
            await client.add_item("r", COFFEE)
        call = {
            "item-added": lambda: client.add_item("r", COFFEE),
            "item-removed": lambda: client.remove_item("r", GONE),
            "receipt-finalized": lambda: client.finalize("r", Finalize()),
            "receipt-voided": lambda: client.void_receipt("r", VOID),
        }[event]
        subject = entry.subject.replace("*", str(partition_of("r", 16)))
        with pytest.raises(InternalError) as raised:
            await call()
        assert subject not in str(raised.value)
        assert f"does not let this connection use {subject} (publish)" in caplog.text
    told = f'{user_without("service", entry)}" - Publish Violation - Subject "{subject}"'
    await until(lambda: told in server.log())


@pytest.mark.parametrize("entry", STREAMS, ids=lambda entry: entry.subject)
async def test_service_without_permission_for_its_streams(entry: Entry) -> None:
    """A service that may not look for its streams, or create missing ones, does not start."""
    with NatsServer(config=config_of({"lacking": without("service", entry)})) as server:
        service = NatsServiceBuilder(Receipts(), server.url, connection=as_user("lacking")).build()
        with pytest.raises(PermissionDeniedError, match=re.escape(f"use {entry.subject} (publ")):
            await asyncio.wait_for(service.start(), LIMIT)


async def test_service_without_reply_permission(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls time out, and the log names the denied reply subject."""
    async with scenario(server, service="mute service") as these:
        await exceed_deadline(
            lambda timeout: these.client.add_item("r", COFFEE, timeout=timeout),
            lambda: refused_subjects(caplog),
        )
    assert all(subject.startswith("_INBOX_till.") for subject in refused_subjects(caplog))


async def test_client_with_selected_operations() -> None:
    """It can call the selected operations with its own inbox, and nothing else."""
    few = of_client(CONTRACT, Used(["add-item", "get"], [], discovery=False))
    with NatsServer(config=config_of({"free": None, **ROLES, "few": few})) as server:
        async with scenario(server, client="few") as these:
            failed = await these.run()
    left = {f"{COMMANDS}add-item", "receipts.query.receipt.get", "receipts.cancel"}
    left |= {"$SRV.PING.receipts", "receipts.instance.*.contract"}  # to verify the contract
    assert failed.keys() == these.steps().keys() - left
    assert {type(error) for error in failed.values()} == {PermissionDeniedError}


async def test_subscribe_only_client() -> None:
    """Without publish entries the server denies all publishing."""
    ears = of_client(CONTRACT, Used([], ["item-added"], discovery=False), queue_group="ears")
    with NatsServer(config=config_of({"free": None, **ROLES, "ears": ears})) as server:
        with Peer(server, "ears") as peer:
            assert not peer.may_publish("receipts.events.receipt.item-added")
            assert not peer.may_publish("other")
            assert not peer.may_subscribe("_INBOX.mine.1")
            assert not peer.may_subscribe(f"{EVENTS}item-added")
        seen: list[str] = []

        async def note(event: ReceivedEvent[ItemAdded]) -> None:
            seen.append(event.key)

        async with scenario(server, client="ears") as these:
            subscribe = these.client.subscribe_item_added
            with pytest.raises(PermissionDeniedError, match="item-added"):
                await subscribe(note)
            async with await subscribe(note, queue_group="ears"):
                await these.free.add_item("r", COFFEE)
        assert seen == ["r"]


async def test_clients_cannot_publish_events(server: NatsServer) -> None:
    """Publishing fails, and names the subject."""
    seen: list[object] = []

    async def note(event: object) -> None:
        seen.append(event)

    async with scenario(server) as these, await these.free.subscribe_item_added(note):
        event = ItemAdded(name="Coffee", price=4.5, quantity=2, line_total=9.0)
        with pytest.raises(
            PermissionDeniedError, match=r"use receipts\.stream\.\d+\.receipt\.item-a"
        ):
            await these.client.publish_item_added("r", event, revision=1)
    assert seen == []


async def test_service_with_custom_queue_group() -> None:
    """The service starts in the permitted queue group and in no other."""
    workers = of_service(CONTRACT, queue_group="workers")
    with NatsServer(config=config_of({"workers": workers})) as server:
        builder = NatsServiceBuilder(Receipts(), server.url, connection=as_user("workers"))
        async with builder.with_queue_group("workers").build() as service:
            assert service.is_serving
        with pytest.raises(PermissionDeniedError, match=r"add-item, .*remove-item"):
            await builder.with_queue_group("others").build().start()

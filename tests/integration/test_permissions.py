"""The printed permissions: with exactly these all works, with one less something breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doubles import until
from nats_jwt import Identity, Tenant
from permitted import (
    CONTRACT,
    ROLES,
    Peer,
    allows,
    as_user,
    config_of,
    entries,
    user_without,
    users,
)
from receipts import (
    AddItem,
    Finalize,
    ItemAdded,
    Receipt,
    ReceiptsClient,
    RemoveItem,
    VoidReceipt,
)
from receipts.handlers import Receipts
from weenats import (
    DeadlineExceededError,
    Entity,
    NatsService,
    NatsServiceBuilder,
    PermissionDeniedError,
    ReceivedEvent,
    RequestContext,
    ServiceError,
)
from weenats.testing import NatsServer
from weenats_codegen.permissions import Entry, Used, of_client, of_service
from weenats_codegen.permissions_output import to_claims

COFFEE = AddItem(name="Coffee", price=4.5, quantity=2)
GONE = RemoveItem(name="Coffee")
VOID = VoidReceipt(reason="-")
ON = "receipts.command.receipt."
EVENT = "receipts.events.receipt."


class Patient(Receipts):
    """Answers the query for `held` when its caller gives up, or the gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def get(self, key: str, context: RequestContext) -> Entity[Receipt]:
        """Wait where a test says so."""
        if key == "held":
            self.entered.set()
            try:
                await self.opened.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return await super().get("r", context)


class Try:
    """A service and a client as users of a server, beside a client that may do everything."""

    def __init__(
        self, handlers: Patient, service: NatsService, client: ReceiptsClient, free: ReceiptsClient
    ) -> None:
        self.handlers = handlers
        self.service = service
        self.client = client
        self.free = free

    def steps(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return all that a client can do, by the subject without which it cannot."""
        client, free = self.client, self.free
        instance = self.service.instance_id

        def calls(call: Callable[..., Awaitable[object]], *arguments: Any) -> Any:
            async def step() -> None:
                assert await call(*arguments)

            return step

        def happens(subscribe: Any, call: Callable[..., Awaitable[object]], *arguments: Any) -> Any:
            async def step() -> None:
                seen: list[object] = []

                async def note(event: object) -> None:
                    seen.append(event)

                async with await subscribe(note):
                    await call(*arguments)
                assert len(seen) == 1

            return step

        return {
            f"{ON}add-item": calls(client.add_item, "r", COFFEE),
            f"{ON}remove-item": calls(client.remove_item, "r-remove", GONE),
            f"{ON}finalize": calls(client.finalize, "r-finalize", Finalize()),
            f"{ON}void-receipt": calls(client.void_receipt, "r-void", VOID),
            "receipts.query.receipt.get": calls(client.get, "r"),
            "receipts.cancel": self.give_up,
            "receipts.health": calls(client.check_health),
            "$SRV.PING.receipts": calls(client.list_instances),
            "$SRV.INFO.receipts": calls(client.get_service_info),
            "$SRV.INFO.receipts.*": calls(client.get_service_info, instance),
            "$SRV.STATS.receipts": calls(client.get_service_stats),
            "$SRV.STATS.receipts.*": calls(client.get_service_stats, instance),
            f"{EVENT}item-added": happens(client.subscribe_item_added, free.add_item, "e", COFFEE),
            f"{EVENT}item-removed": happens(
                client.subscribe_item_removed,
                free.remove_item,
                "e-remove",
                GONE,
            ),
            f"{EVENT}receipt-finalized": happens(
                client.subscribe_receipt_finalized, free.finalize, "e-finalize", Finalize()
            ),
            f"{EVENT}receipt-voided": happens(
                client.subscribe_receipt_voided,
                free.void_receipt,
                "e-void",
                VOID,
            ),
        }

    async def run(self) -> dict[str, Exception]:
        """Try it all; return what failed."""
        for key in ("r", *(f"{a}-{b}" for a in "re" for b in ("remove", "finalize", "void"))):
            await self.free.add_item(key, COFFEE)
        failed: dict[str, Exception] = {}
        for subject, step in self.steps().items():
            try:
                await step()
            except (ServiceError, AssertionError) as error:
                failed[subject] = error
        return failed

    async def give_up(self) -> None:
        """Give up a call: its handler ends."""
        self.handlers.entered.clear()
        calling = asyncio.create_task(self.client.get("held", timeout=60))
        entered = asyncio.create_task(self.handlers.entered.wait())
        await asyncio.wait([calling, entered], return_when=asyncio.FIRST_COMPLETED)
        if calling.done():  # it may not even call: that is another step's business
            entered.cancel()
            await self.free.check_health()
            return
        calling.cancel()
        await asyncio.wait([calling])
        await self.client.transport.fence()
        # What the client sent has been routed: the answer to this comes behind it.
        await self.free.check_health()
        for _ in range(10):
            await asyncio.sleep(0)
        assert self.handlers.cancelled.is_set()


@asynccontextmanager
async def trying(
    server: NatsServer, service: str = "service", client: str = "client"
) -> AsyncIterator[Try]:
    """Run a service as one user and a client as another."""
    handlers = Patient()
    builder = NatsServiceBuilder(handlers, server.url, connection=as_user(service))
    running = builder.with_monitoring(0.05).with_health().build()
    async with (
        running,
        ReceiptsClient.connect(server.url, connection=as_user(client)) as connected,
        ReceiptsClient.connect(server.url, connection=as_user("free")) as free,
    ):
        try:
            yield Try(handlers, running, connected, free)
        finally:
            handlers.opened.set()


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    """A server that knows every role, complete and with one entry less."""
    with NatsServer(config=config_of(users())) as running:
        yield running


def refused_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the subjects that the server refused to one of ours."""
    messages = [each.getMessage() for each in caplog.records if each.name == "weenats.transport"]
    return [each.rpartition(": ")[2] for each in messages if "NATS refused" in each]


async def test_with_exactly_these_everything_works(caplog: pytest.LogCaptureFixture) -> None:
    """Calls, events, discovery, health, snapshots, deadlines, giving up, a drain: no violation."""
    with NatsServer(config=config_of({"free": None, **ROLES})) as server:
        snapshots: list[object] = []
        async with trying(server) as these:
            these.free.transport.subscribe("receipts.monitoring", snapshots.append)
            await these.free.transport.fence()
            assert await these.run() == {}
            await until(lambda: snapshots)
            with pytest.raises(DeadlineExceededError):
                await these.client.get("held", timeout=0.05)
            for verb in ("PING", "INFO", "STATS"):
                found = await these.free.transport.request_many(
                    f"$SRV.{verb}", b"", timeout=5, quiet=0.1
                )
                assert len(found) == 1
            these.handlers.entered.clear()
            admitted = asyncio.create_task(these.client.get("held"))
            await these.handlers.entered.wait()
            stopping = asyncio.create_task(these.service.stop())
            these.handlers.opened.set()
            assert (await admitted).state.items
            await stopping
        assert refused_in(caplog) == []
        assert "Violation" not in server.log()


@pytest.mark.parametrize("entry", ROLES["client"].publish, ids=lambda entry: entry.subject)
async def test_a_client_that_may_not_send_there(
    server: NatsServer, entry: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    """What the subject is for is refused at once and names it; all else works."""
    async with trying(server, client=user_without("client", entry)) as these:
        failed = await these.run()
        instance = these.service.instance_id
    refused = entry.subject.replace("*", instance)
    assert failed.keys() == {entry.subject}
    assert set(refused_in(caplog)) == {refused}
    error = failed[entry.subject]
    if entry.subject == "receipts.cancel":  # nobody waits who could be told
        assert isinstance(error, AssertionError)
    else:
        assert isinstance(error, PermissionDeniedError)
        assert f"use {refused} (publish)" in error.message


@pytest.mark.parametrize("entry", ROLES["client"].subscribe, ids=lambda entry: entry.subject)
async def test_a_client_that_may_not_listen_there(server: NatsServer, entry: Entry) -> None:
    """Without its inbox no call is made; without an event it cannot be subscribed to."""
    async with trying(server, client=user_without("client", entry)) as these:
        failed = await these.run()
    prefix = entry.subject.removesuffix(">")
    assert all(
        isinstance(error, PermissionDeniedError) and f"use {prefix}" in error.message
        for error in failed.values()
    )
    calls = {each.subject for each in ROLES["client"].publish} - {"receipts.cancel"}
    assert failed.keys() == (calls if prefix == "_INBOX_till." else {entry.subject})


@pytest.mark.parametrize("entry", ROLES["service"].subscribe, ids=lambda entry: entry.subject)
async def test_a_service_that_may_not_listen_there(server: NatsServer, entry: Entry) -> None:
    """It does not start, and says which subject it may not use."""
    builder = NatsServiceBuilder(
        Receipts(), server.url, connection=as_user(user_without("service", entry))
    )
    service = builder.build()
    subject = entry.subject.partition(" ")[0].replace("*", service.instance_id)
    with pytest.raises(PermissionDeniedError) as error:
        await asyncio.wait_for(service.start(), 30)
    assert f"use {subject} (subscription)" in error.value.message
    assert not service.is_serving


@pytest.mark.parametrize("entry", ROLES["service"].publish, ids=lambda entry: entry.subject)
async def test_a_service_that_may_not_send_there(
    server: NatsServer, entry: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    """Events and snapshots, which nobody waits for, do not come; both logs name the subject."""
    snapshots: list[object] = []
    async with trying(server, service=user_without("service", entry)) as these:
        these.free.transport.subscribe("receipts.monitoring", snapshots.append)
        await these.free.transport.fence()
        failed = await these.run()
        if entry.subject == "receipts.monitoring":
            assert failed == {}
            await until(lambda: len(refused_in(caplog)) > 2)
            await these.free.check_health()  # what was sent before has arrived
            assert snapshots == []
        else:
            assert failed.keys() == {entry.subject}
            await until(lambda: snapshots)
    assert set(refused_in(caplog)) == {entry.subject}
    told = f'{user_without("service", entry)}" - Publish Violation - Subject "{entry.subject}"'
    await until(lambda: told in server.log())


async def test_a_service_that_may_not_reply(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is answered; the log says to whom."""
    async with trying(server, service="mute service") as these:
        with pytest.raises(DeadlineExceededError):
            await these.client.add_item("r", COFFEE, timeout=0.2)
        await until(lambda: refused_in(caplog))
    assert all(subject.startswith("_INBOX_till.") for subject in refused_in(caplog))


async def test_a_client_of_a_few_operations() -> None:
    """It calls what was named, below its own inbox, and nothing else."""
    few = of_client(CONTRACT, Used(["add-item", "get"], [], discovery=False))
    with NatsServer(config=config_of({"free": None, **ROLES, "few": few})) as server:
        async with trying(server, client="few") as these:
            failed = await these.run()
    left = {f"{ON}add-item", "receipts.query.receipt.get", "receipts.cancel"}
    assert failed.keys() == these.steps().keys() - left
    assert {type(error) for error in failed.values()} == {PermissionDeniedError}


async def test_a_client_that_only_listens() -> None:
    """Where nothing may be published, NATS lets nothing be published."""
    ears = of_client(CONTRACT, Used([], ["item-added"], discovery=False), queue_group="ears")
    with NatsServer(config=config_of({"free": None, **ROLES, "ears": ears})) as server:
        with Peer(server, "ears") as peer:
            assert not peer.may_publish("receipts.events.receipt.item-added")
            assert not peer.may_publish("other")
            assert not peer.may_subscribe("_INBOX.mine.1")
            assert not peer.may_subscribe(f"{EVENT}item-added")
        seen: list[str] = []

        async def note(event: ReceivedEvent[ItemAdded]) -> None:
            seen.append(event.key)

        async with trying(server, client="ears") as these:
            subscribe = these.client.subscribe_item_added
            with pytest.raises(PermissionDeniedError, match="item-added"):
                await subscribe(note)
            async with await subscribe(note, queue_group="ears"):
                await these.free.add_item("r", COFFEE)
        assert seen == ["r"]


async def test_events_are_the_word_of_the_service(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that says that something has happened is heard by nobody; its log says so."""
    seen: list[object] = []

    async def note(event: object) -> None:
        seen.append(event)

    async with trying(server) as these, await these.free.subscribe_item_added(note):
        event = ItemAdded(name="Coffee", price=4.5, quantity=2, line_total=9.0)
        await these.client.publish_item_added("r", event, revision=1)
        await these.client.transport.fence()
    assert seen == []
    assert refused_in(caplog) == [f"{EVENT}item-added"]


async def test_a_service_of_another_queue_group() -> None:
    """It serves in the group that was named and starts in no other."""
    workers = of_service(CONTRACT, queue_group="workers")
    with NatsServer(config=config_of({"workers": workers})) as server:
        builder = NatsServiceBuilder(Receipts(), server.url, connection=as_user("workers"))
        async with builder.with_queue_group("workers").build() as service:
            assert service.is_serving
        with pytest.raises(PermissionDeniedError, match=r"add-item, .*remove-item"):
            await builder.with_queue_group("others").build().start()


def test_replies_go_to_who_asked(server: NatsServer) -> None:
    """A service may answer who asks, a caller that gives up included, and nobody else."""
    with Peer(server, "service") as service, Peer(server, "free") as free:
        subject = "receipts.query.receipt.get"
        assert service.refusals(f"SUB {subject} receipts 1", "SUB receipts.cancel 2") == []
        assert not service.may_publish("_INBOX.mine.1")
        for told in ([subject], [subject, "receipts.cancel"]):
            for each in told:
                assert free.refusals(f"PUB {each} _INBOX.mine.1 0", "") == []
                assert service.next_message()[-2] == "_INBOX.mine.1"
            assert not service.may_publish("_INBOX.mine.2")
            for may in [True] * (3 - len(told)) + [False]:
                assert service.may_publish("_INBOX.mine.1") == may


def plain(entry: Entry) -> str:
    """Return a subject that an entry allows."""
    return entry.subject.partition(" ")[0].replace("*", "one").replace(">", "two")


TOKENS = sorted(
    {token for role in ROLES for entry in entries(role) for token in plain(entry).split(".")}
    | {"other", "Receipts", "$SYS", "$JS", "_INBOX"}
)
NAMES = st.sampled_from(TOKENS) | st.from_regex(r"[A-Za-z0-9_$-]{1,12}", fullmatch=True)


def near(role: str, tokens: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return subjects: any, what is allowed, and what is one word away from it."""
    allowed = st.sampled_from([plain(entry) for entry in entries(role)])
    changed = st.builds(
        lambda subject, where, words: ".".join(
            [*subject.split(".")[:where], *words, *subject.split(".")[where + 1 :]]
        ),
        allowed,
        st.integers(0, 5),
        st.lists(tokens, max_size=2),
    )
    whole = st.lists(tokens, min_size=1, max_size=6).map(".".join)
    return (allowed | changed | whole).filter(lambda subject: bool(subject.strip(".")))


@pytest.fixture(scope="module", params=["configuration", "claims"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Peer]]:
    """Connect as a role whose user is in a server's configuration, or has a JWT."""
    tenant = Tenant()

    def identified(role: str) -> tuple[Identity, str]:
        user = Identity("user")
        return user, tenant.user_jwt(user, to_claims(ROLES[role]))

    if request.param == "claims":
        with NatsServer(config=tenant.config) as server:
            yield lambda role: Peer(server, identified(role))
    else:
        with NatsServer(config=config_of(ROLES)) as server:
            yield lambda role: Peer(server, role)


@pytest.mark.parametrize("role", ROLES)
def test_every_other_subject_is_closed_to_what_they_send(
    connect: Callable[[str], Peer], role: str
) -> None:
    """The server takes messages on the printed subjects and refuses all others."""

    @settings(max_examples=200)
    @given(subject=near(role, NAMES))
    @example(subject="$SYS.REQ.SERVER.PING")
    @example(subject="$JS.API.INFO")
    def holds(subject: str) -> None:
        assert peer.may_publish(subject) == allows(ROLES[role].publish, subject)

    with connect(role) as peer:
        for entry in ROLES[role].publish:
            assert peer.may_publish(plain(entry))
        holds()


@pytest.mark.parametrize("role", ROLES)
def test_every_other_subject_is_closed_to_their_ears(
    connect: Callable[[str], Peer], role: str
) -> None:
    """The server lets them listen on the printed subjects, in the printed queue groups only."""

    @settings(max_examples=200)
    @given(
        subject=near(role, NAMES | st.just("*")) | near(role, NAMES).map("{}.>".format),
        group=st.sampled_from(["", "receipts", "other"]),
    )
    @example(subject=">", group="")
    @example(subject="*.>", group="receipts")
    @example(subject="_INBOX.>", group="")
    @example(subject="$SYS.>", group="")
    def holds(subject: str, group: str) -> None:
        assert peer.may_subscribe(subject, group) == allows(ROLES[role].subscribe, subject, group)

    with connect(role) as peer:
        for entry in ROLES[role].subscribe:
            assert peer.may_subscribe(plain(entry), entry.subject.partition(" ")[2])
        holds()

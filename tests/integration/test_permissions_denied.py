"""Generated permissions by subject: the server allows the listed ones and denies all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testkit.nats_jwt import Identity, Tenant
from testkit.nats_peer import Peer, allows
from testkit.nats_users import ROLES, config_of, entries, users
from testkit.properties import examples
from weenats.testing import NatsServer
from weenats_codegen.permissions.entries import Entry
from weenats_codegen.permissions.output import to_claims


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    """A server with one user per role and one user per missing entry."""
    with NatsServer(config=config_of(users())) as running:
        yield running


def test_service_can_publish_only_replies(server: NatsServer) -> None:
    """A service can reply to calls, also to cancelled ones, but to no other inbox."""
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


def concrete_subject(entry: Entry) -> str:
    """Return a subject that an entry allows."""
    return entry.subject.partition(" ")[0].replace("*", "one").replace(">", "two")


TOKENS = sorted(
    {
        token
        for role in ROLES
        for entry in entries(role)
        for token in concrete_subject(entry).split(".")
    }
    | {"other", "Receipts", "$SYS", "$JS", "_INBOX"}
)
NAMES = st.sampled_from(TOKENS) | st.from_regex(r"[A-Za-z0-9_$-]{1,12}", fullmatch=True)


def similar_subjects(role: str, tokens: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return allowed subjects, slightly changed ones and random ones."""
    allowed = st.sampled_from([concrete_subject(entry) for entry in entries(role)])
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
    """Connect as a role, with a user of the server's configuration or with a JWT."""
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
def test_only_listed_subjects_can_be_published(connect: Callable[[str], Peer], role: str) -> None:
    """The server accepts messages on the listed subjects and denies all others."""

    @examples(2)
    @given(subject=similar_subjects(role, NAMES))
    @example(subject="$SYS.REQ.SERVER.PING")
    @example(subject="$JS.API.INFO")
    def holds(subject: str) -> None:
        assert peer.may_publish(subject) == allows(ROLES[role].publish, subject)

    with connect(role) as peer:
        for entry in ROLES[role].publish:
            assert peer.may_publish(concrete_subject(entry))
        holds()


@pytest.mark.parametrize("role", ROLES)
def test_only_listed_subjects_can_be_subscribed(connect: Callable[[str], Peer], role: str) -> None:
    """The server allows subscriptions to the listed subjects and queue groups only."""

    @examples(2)
    @given(
        subject=similar_subjects(role, NAMES | st.just("*"))
        | similar_subjects(role, NAMES).map("{}.>".format),
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
            assert peer.may_subscribe(concrete_subject(entry), entry.subject.partition(" ")[2])
        holds()

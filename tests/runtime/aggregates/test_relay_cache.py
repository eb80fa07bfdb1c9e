"""The commits that an instance remembers until their events are published."""

from __future__ import annotations

from typing import Any, cast

import pytest

from testkit.wallets import wallets
from weenats.aggregates import relay_cache
from weenats.aggregates.commits import Commit, encode_commit, new_commit, read_commit
from weenats.aggregates.relay_cache import RecentCommits
from weenats.aggregates.state_codec import EncodedEvent
from weenats.aggregates.store import PARTITIONS
from weenats.context import RequestContext
from weenats.principal import Principal
from weenats.protocol.headers import Headers
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.partitions import partition_of
from weenats.protocol.subjects import commits_of_key
from weenats.transport.jetstream import StoredMessage

COMMIT = cast("Commit", object())
STATED = "2026-01-01T00:00:00.000Z"


def test_commit_is_taken_once() -> None:
    """What was published is forgotten."""
    commits = RecentCommits()
    commits.add("s", b"a", COMMIT)
    assert commits.take("s", b"b") is None
    assert commits.take("t", b"a") is None
    assert commits.take("s", b"a") is COMMIT
    assert commits.take("s", b"a") is None


def test_oldest_commit_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits whose events other instances publish do not stay for ever."""
    monkeypatch.setattr(relay_cache, "_MAX_COMMITS", 3)
    commits = RecentCommits()
    for number in range(5):
        commits.add("s", b"%d" % number, COMMIT)
    taken = [commits.take("s", b"%d" % number) for number in range(5)]
    assert taken == [None, None, COMMIT, COMMIT, COMMIT]


def test_large_commit_is_not_kept() -> None:
    """The memory that it takes is bounded."""
    commits = RecentCommits()
    commits.add("s", body := b"x" * (16 * 1024 + 1), COMMIT)
    assert commits.take("s", body) is None


@pytest.mark.parametrize("principal", [None, 'o"neill'])
@pytest.mark.parametrize("result", [None, b'{"balance":5.10}'])
@pytest.mark.parametrize("causation", [None, "purchase"])
def test_remembered_commit_is_the_stored_one(
    principal: str | None, result: bytes | None, causation: str | None
) -> None:
    """An instance that remembers a commit publishes what another one would read."""
    context: Any = RequestContext(
        "server",
        wallets.DEPOSIT,
        'w-"1"\\é',
        wallets.Amount(cents=5),
        STAMPER.new_id(),
        "correlation",
        STATED,
        causation,
        principal=None if principal is None else Principal(id=principal),
    )
    events = [EncodedEvent("deposited", b'{"balance":1.50}'), EncodedEvent("closed", b"{}")]
    commit = new_commit(
        context, events, result=result, fingerprint="0" * 32, previous=3, revision=9
    )
    body = encode_commit(commit, "wallet", STATED)
    subject = commits_of_key("wallets", partition_of(commit.key, PARTITIONS), "wallet", commit.key)
    message = StoredMessage(subject, body, Headers(), stream="x", sequence=12)
    assert read_commit(message) == commit._replace(sequence=12)

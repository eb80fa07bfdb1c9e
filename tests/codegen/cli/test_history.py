"""The commands `weenats history` and `weenats state`, against a real nats-server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from testkit.paths import GOLDEN
from testkit.wallets import builder, client, commit, wallets
from weenats import NatsTransport
from weenats.aggregates.store import PARTITIONS
from weenats.protocol.partitions import partition_of
from weenats.protocol.subjects import commits_of_key
from weenats.testing import NatsServer, serving
from weenats.transport.jetstream import JetStream
from weenats_codegen.cli.main import main

Amount = wallets.Amount


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server with a running service, where something happened to two wallets."""

    async def happen(url: str) -> None:
        async with client(url) as caller:
            await caller.deposit("w-1", Amount(cents=5), correlation_id="purchase-1")
            await caller.deposit("w-1", Amount(cents=2))
            await caller.empty("w-1", wallets.Empty())
            await caller.deposit("a b", Amount(cents=1))

    with NatsServer() as server, serving(builder(server.url).build()):
        asyncio.run(happen(server.url))
        yield server.url


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return what a command prints as JSON."""
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_history(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each event is a row, with its revision, data, command and cause."""
    rows = printed(capsys, "history", "wallets", "w-1", "--servers", url)
    assert [(each["revision"], each["command"], each["event"]) for each in rows] == [
        (1, "deposit", "deposited"),
        (2, "deposit", "deposited"),
        (3, "empty", "withdrawn"),
        (4, "empty", "closed"),
    ]
    assert rows[1]["data"] == {"cents": 2, "balance": 7}
    assert rows[0]["correlationId"] == "purchase-1"
    assert rows[2]["messageId"] == rows[3]["messageId"]
    only = printed(capsys, "history", "wallets", "a b", "--aggregate", "wallet", "--servers", url)
    assert [each["data"]["cents"] for each in only] == [1]


def test_history_for_people(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a table."""
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["history", "wallets", "w-1", "--servers", url]) == 0
    shown = capsys.readouterr().out
    assert "withdrawn" in shown
    assert '{"cents": 7, "balance": 0}' in shown


@pytest.mark.parametrize("columns", [None, "80", "70"])
def test_ids_are_not_broken(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: Any
) -> None:
    """Message ids can be copied from a narrow terminal, and lines that are piped are whole."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    rows = printed(capsys, "history", "wallets", "w-1", "--servers", url)
    ids = {each["messageId"] for each in rows}
    assert main(["history", "wallets", "w-1", "--servers", url]) == 0
    shown = capsys.readouterr().out
    assert len(ids) > 1
    assert ids <= set(shown.split())
    if columns is None:
        assert len(shown.splitlines()) == 1 + len(rows)


async def test_digits_of_events_are_shown(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers in events are shown as they are stored, also those that no float is."""
    transport = NatsTransport(url)
    body = commit("w-odd").replace(b'"cents": 5', b'"cents": 1e400')
    subject = commits_of_key("wallets", partition_of("w-odd", PARTITIONS), "wallet", "w-odd")
    await JetStream(transport).publish(subject, body)
    await transport.close()
    for options in ([], ["--json"]):
        command = ["history", "wallets", "w-odd", "--servers", url, *options]
        assert await asyncio.to_thread(main, command) == 0
        assert "1E+400" in capsys.readouterr().out.replace("\n", "")


async def test_data_with_many_large_numbers_is_shown_as_text(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers that no decimal is made of keep their digits, and do not end the command."""
    transport = NatsTransport(url)
    numbers = b"[" + b",".join([b"1e400"] * 200) + b"]"
    body = commit("w-large").replace(b'"cents": 5', b'"cents": ' + numbers)
    subject = commits_of_key("wallets", partition_of("w-large", PARTITIONS), "wallet", "w-large")
    await JetStream(transport).publish(subject, body)
    await transport.close()
    for options in ([], ["--json"]):
        command = ["history", "wallets", "w-large", "--servers", url, *options]
        assert await asyncio.to_thread(main, command) == 0
        assert "1e400,1e400" in capsys.readouterr().out.replace("\n", "").replace(" ", "")


async def test_a_message_that_is_no_commit_is_left_out(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other events of the key are shown; standard error names the message."""
    transport = NatsTransport(url)
    subject = commits_of_key("wallets", partition_of("w-bad", PARTITIONS), "wallet", "w-bad")
    for body in (commit("w-bad"), b"no commit"):
        await JetStream(transport).publish(subject, body)
    await transport.close()
    command = ["history", "wallets", "w-bad", "--servers", url, "--json"]
    assert await asyncio.to_thread(main, command) == 0
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)) == 1
    assert "of wallets-commits is not a commit" in shown.err


def test_history_of_nothing(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A key without events, and a service without a stream, are errors."""
    assert main(["history", "wallets", "none", "--servers", url]) == 1
    assert capsys.readouterr().err == "weenats: no events for key none in wallets\n"
    assert main(["history", "shops", "none", "--servers", url]) == 1
    assert "there is no stream shops-commits; known are wallets\n" in capsys.readouterr().err
    assert main(["history", "walets", "w-1", "--servers", url]) == 1
    assert "there is no stream walets-commits; did you mean wallets?" in capsys.readouterr().err
    assert main(["history", "wallets", "w-1", "--aggregate", "walet", "--servers", url]) == 1
    assert "no events for key w-1 in wallets; did you mean wallet?" in capsys.readouterr().err
    assert main(["history", "wallets", "\udcff", "--servers", url]) == 2
    assert "the key is not valid Unicode" in capsys.readouterr().err


def test_state(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The state now, at a revision, and at a time."""
    state = ("state", "wallets", "w-1", "--aggregate", "wallet", "--servers", url)
    now = printed(capsys, *state)["entity"]
    assert (now["revision"], now["state"]["closed"]) == (4, True)
    before = printed(capsys, *state, "--revision", "2")["entity"]
    assert before["state"] == {"balance": 7, "changes": 2}
    rows = printed(capsys, "history", "wallets", "w-1", "--servers", url)
    at = printed(capsys, *state, "--time", rows[0]["timestamp"])["entity"]
    assert at["revision"] in {1, 2}  # both may have been in one millisecond
    local = datetime.now(UTC).astimezone().replace(tzinfo=None).isoformat()
    assert printed(capsys, *state, "--time", local)["entity"]["revision"] == 4


def test_call_with_a_required_revision(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The service refuses a command on another revision; what has none is refused before."""
    new = ("call", "wallets", "deposit", "w-new", '{"cents": 1}', "--servers", url)
    assert main([*new, "--if-revision", "1"]) == 1
    assert "revision" in capsys.readouterr().err
    assert main([*new, "--if-revision", "0"]) == 0
    assert main([*new, "--if-revision", "0"]) == 1
    assert (
        main(["call", "wallets", "wallet.get", "w-1", "--if-revision", "4", "--servers", url]) == 1
    )
    assert (
        "--if-revision is for commands of aggregates with `store: stream`, and wallet.get is not"
        " one; the request was not sent" in capsys.readouterr().err
    )


def test_required_revision_needs_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the permission to read it, the error names that, and nothing is sent."""
    denied = 'permissions: {publish: {deny: ["wallets.contract"]}}'
    config = (
        "authorization: {users: [{user: free, password: secret},"
        f" {{user: caller, password: secret, {denied}}}]}}"
    )
    with NatsServer(config=config) as server:
        free, caller = (
            server.url.replace("//", f"//{user}:secret@") for user in ("free", "caller")
        )
        with serving(builder(free).build()):
            deposit = ("call", "wallets", "deposit", "w-1", '{"cents": 1}')
            assert main([*deposit, "--if-revision", "0", "--servers", caller]) == 1
            told = capsys.readouterr().err
            assert told.startswith("weenats: --if-revision: the contract of wallets cannot be read")
            assert "use wallets.contract (publish); the request was not sent\n" in told
            assert main([*deposit, "--if-revision", "0", "--servers", free]) == 0


def test_state_that_never_was(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the error of the service, or wrong usage."""
    state = ("state", "wallets", "w-1", "--aggregate", "wallet", "--servers", url)
    assert main([*state, "--revision", "9"]) == 1
    assert "wallet has no revision 9, the last is 4" in capsys.readouterr().err
    assert main([*state, "--time", "2001-01-01T00:00:00Z"]) == 1
    assert "NOT_FOUND wallet-not-found" in capsys.readouterr().err
    for time in ("yesterday", "0001-01-01T00:00+23:59", "\x1b[31m\u202e\x85"):
        assert main([*state, "--time", time]) == 2
        shown = capsys.readouterr().err
        assert "--time is ISO 8601" in shown
        assert shown.replace("\n", "").isprintable()
    assert main([*state, "--time", "2001-01-01", "--revision", "1"]) == 2
    capsys.readouterr()
    assert main(["state", "wallets", "w-1", "--servers", url]) == 1
    several = "wallets has several: approval.get, wallet.get; choose one with --aggregate NAME"
    assert several in capsys.readouterr().err


def test_streams_of_commits(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`weenats streams` knows the streams of stored aggregates, as the service has created them."""
    folder = str(GOLDEN / "event-sourced" / "contract")
    plans = printed(capsys, "streams", "plan", folder, "--servers", url)
    assert {each["stream"]: each["action"] for each in plans} == {
        "wallets-events": "none",
        "wallets-events-dead-letters": "none",
        "wallets-commits": "none",
        "KV_wallets-snapshots": "none",
    }


def test_streams_before_the_first_start(capsys: pytest.CaptureFixture[str]) -> None:
    """`weenats streams apply` creates them, and the service starts with "check"."""
    folder = str(GOLDEN / "event-sourced" / "contract")
    with NatsServer() as server:
        plans = printed(capsys, "streams", "apply", folder, "--servers", server.url)
        assert [each["action"] for each in plans] == ["create"] * 4
        with serving(builder(server.url).with_streams("check").build()):
            pass

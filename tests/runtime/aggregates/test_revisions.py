"""Writes that require a revision, and earlier states."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from testkit.wallets import Wallets, commit, wallets
from weenats import AbortedError, InternalError, InvalidArgumentError, NotFoundError
from weenats.protocol.headers import AT_REVISION, AT_TIME, encode
from weenats.protocol.partitions import partition_of
from weenats.transport.jetstream import JetStream

Amount = wallets.Amount


async def test_required_revision(caller: Any, key: str, handlers: Wallets) -> None:
    """A command runs at the revision that its caller requires, and at no other one."""
    await caller.deposit(key, Amount(cents=1), if_revision=0)
    await caller.deposit(key, Amount(cents=1), if_revision=1)
    for wrong in (0, 1, 3):
        with pytest.raises(AbortedError, match=f"wallet has revision 2, not {wrong}") as raised:
            await caller.deposit(key, Amount(cents=1), if_revision=wrong)
        assert raised.value.details == {"revision": 2}
    assert (await caller.get_wallet(key)).revision == 2
    assert len(handlers.decisions) == 2


async def test_one_of_many_writers_wins(caller: Any, key: str) -> None:
    """Of callers that all require one revision, one succeeds."""
    calls = [caller.deposit(key, Amount(cents=1), if_revision=0) for _ in range(20)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, AbortedError) for each in results) == 19
    assert (await caller.get_wallet(key)).revision == 1


@pytest.mark.parametrize("wrong", [-1, "1", 1.0, True, None])
async def test_invalid_revision(caller: Any, key: str, wrong: Any) -> None:
    """It is refused before anything is sent."""
    with pytest.raises(InvalidArgumentError, match="if_revision is an integer of at least 0"):
        await caller.deposit(key, Amount(cents=1), if_revision=wrong)


async def test_revision_of_a_query(caller: Any, key: str) -> None:
    """Only commands take one."""
    with pytest.raises(InvalidArgumentError, match="can-pay is none"):
        await caller.can_pay(key, Amount(cents=1), if_revision=1)


async def get_with(caller: Any, key: str, **headers: str) -> Any:
    """Call `get` with headers that only tools send."""
    request = caller.transport.request

    async def send(subject: str, payload: bytes, lines: bytes, *rest: Any, **named: Any) -> Any:
        names = {"revision": AT_REVISION, "time": AT_TIME}
        lines += encode({names[name]: value for name, value in headers.items()})
        return await request(subject, payload, lines, *rest, **named)

    caller.transport.request = send
    try:
        return await caller.get_wallet(key)
    finally:
        caller.transport.request = request


async def test_earlier_state(caller: Any, key: str) -> None:
    """`get` shows each earlier revision, also one within a commit, and each earlier time."""
    await caller.deposit(key, Amount(cents=5))
    await caller.deposit(key, Amount(cents=2))
    await caller.empty(key, wallets.Empty())
    found = [await get_with(caller, key, revision=str(number)) for number in (1, 2, 3, 4)]
    assert [each.revision for each in found] == [1, 2, 3, 4]
    assert [each.state.balance for each in found] == [5, 7, 0, 0]
    assert [each.state.closed for each in found] == [None, None, None, True]
    assert (await get_with(caller, key, time="2999-01-01T00:00:00Z")).revision == 4
    for missing in ({"revision": "0"}, {"time": "2001-01-01T00:00:00Z"}):
        with pytest.raises(wallets.WalletNotFoundError):
            await get_with(caller, key, **missing)
    with pytest.raises(NotFoundError, match="wallet has no revision 5, the last is 4"):
        await get_with(caller, key, revision="5")


@pytest.mark.parametrize(
    "wrong",
    [
        {"revision": "-1"},
        {"revision": "x"},
        {"revision": "9" * 30},
        {"time": "now"},
        {"time": "2026-03-01T09:30:00"},
    ],
)
async def test_malformed_earlier_state(caller: Any, key: str, wrong: dict[str, str]) -> None:
    """It is INVALID_ARGUMENT."""
    with pytest.raises(InvalidArgumentError):
        await get_with(caller, key, **wrong)


async def test_earlier_state_of_a_commit_with_a_time_that_does_not_exist(
    caller: Any, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a fault of the stored commit, not of the caller: INTERNAL, and the log says why."""
    subject = f"wallets.commits.{partition_of(key, 16)}.wallet.{key}"
    stored = commit(key, timestamp="2026-02-30T09:30:00.131Z")
    await JetStream(caller.transport).publish(subject, stored)
    assert (await get_with(caller, key, revision="1")).revision == 1
    with pytest.raises(InternalError):
        await get_with(caller, key, time="2999-01-01T00:00:00Z")
    assert "does not exist" in caplog.text

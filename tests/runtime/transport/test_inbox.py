"""Request inbox: late, duplicate, foreign and missing replies."""

from __future__ import annotations

import asyncio
import gc
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from testkit.clocks import travel
from testkit.paths import REPOSITORY
from testkit.waiting import settle
from weenats.errors import (
    ConnectionLostError,
    DeadlineExceededError,
    NoRespondersError,
    PermissionDeniedError,
)
from weenats.transport import Delivery
from weenats.transport import inbox as request_mux
from weenats.transport.base import MAX_REPLIES, MAX_REPLY_BYTES
from weenats.transport.inbox import ReplyInbox, RequestMux, gather_replies
from weenats.transport.nats_py.connection import NatsConnection

NOBODY = b"NATS/1.0 503\r\n\r\n"
FAR = 1e12


def make_reply(reply: str, payload: bytes = b"yes", block: bytes = b"") -> Delivery:
    """Return a message on a reply subject."""
    return Delivery(reply, "", payload, block)


async def test_each_request_has_its_own_reply_subject() -> None:
    """Reply subjects are below one inbox, unique, and lead to their own requests."""
    mux = RequestMux("_INBOX.me")
    opened = [mux.open("a.b", FAR, None) for _ in range(100)]
    assert mux.wildcard == "_INBOX.me.*"
    assert len({reply for reply, _ in opened}) == 100
    assert all(reply.rpartition(".")[0] == "_INBOX.me" for reply, _ in opened)
    for reply, _ in reversed(opened):
        mux.on_delivery(make_reply(reply, reply.encode()))
    assert [(await future).payload.decode() for _, future in opened] == [r for r, _ in opened]
    mux.close()


async def test_reply_subject_does_not_tell_the_next_one() -> None:
    """They end with 64 random bits: whoever gets some requests cannot answer or cancel others."""
    mux = RequestMux("_INBOX.me")
    tokens = [mux.open("a.b", FAR, None)[0].rpartition(".")[2] for _ in range(2000)]
    numbers = [int(token, 16) for token in tokens]
    assert {len(token) for token in tokens} == {16}
    assert all(500 < sum(number >> bit & 1 for number in numbers) < 1500 for bit in range(64))
    steps = {later - earlier for earlier, later in pairwise(numbers)}
    assert len(steps) == len(numbers) - 1
    mux.close()


async def test_late_and_duplicate_replies_are_dropped() -> None:
    """The first reply is used; duplicates, late and unknown replies are dropped."""
    mux = RequestMux("_INBOX.me")
    reply, future = mux.open("a.b", FAR, None)
    mux.on_delivery(make_reply(reply, b"first"))
    mux.on_delivery(make_reply(reply, b"second"))
    assert (await future).payload == b"first"
    reply, given_up = mux.open("a.b", FAR, None)
    mux.discard(reply)
    mux.discard(reply)
    mux.on_delivery(make_reply(reply))
    mux.on_delivery(make_reply("_INBOX.me.999"))
    mux.on_delivery(make_reply("_INBOX.other.1"))
    assert not given_up.done()
    assert mux._pending == {}
    mux.close()


async def test_reply_to_a_cancelled_call_is_dropped() -> None:
    """A reply that arrives after the cancellation has no effect."""
    mux = RequestMux("_INBOX.me")
    reply, future = mux.open("a.b", FAR, None)
    future.cancel()
    mux.on_delivery(make_reply(reply))
    mux.fail(ConnectionLostError)
    assert future.cancelled()
    mux.close()


async def test_unaccepted_replies_are_ignored_and_counted() -> None:
    """Unaccepted replies do not end the call, and the timeout error has their number."""
    clock = travel()
    mux = RequestMux("_INBOX.me", clock)
    reply, future = mux.open("a.b", FAR, lambda delivery: delivery.payload == b"yes")
    mux.on_delivery(make_reply(reply, b'{"stream":"S","seq":1}'))
    mux.on_delivery(make_reply(reply, b"yes"))
    assert (await future).payload == b"yes"
    reply, future = mux.open("a.b", clock() + 1, lambda _: False)
    for _ in range(3):
        mux.on_delivery(make_reply(reply))
    clock.advance(2)
    with pytest.raises(DeadlineExceededError, match=r"3 message\(s\) arrived that are not"):
        await future


async def test_no_responders_status_ends_the_call() -> None:
    """The server's 503 status ends the call at once, whatever replies it accepts."""
    mux = RequestMux("_INBOX.me")
    for accepts in (None, lambda _: False):
        reply, future = mux.open("a.b", FAR, accepts)
        mux.on_delivery(make_reply(reply, b"", NOBODY))
        with pytest.raises(NoRespondersError, match=r"no responders on a\.b"):
            await future
    mux.close()


async def test_message_with_status_and_payload_is_a_reply() -> None:
    """Only an empty message with the status comes from the server."""
    mux = RequestMux("_INBOX.me")
    reply, future = mux.open("a.b", FAR, None)
    mux.on_delivery(make_reply(reply, b"yes", NOBODY))
    assert (await future).payload == b"yes"
    mux.close()


async def test_fail_ends_the_calls_of_a_subject() -> None:
    """fail() ends the calls to one subject, or all calls without a subject."""
    mux = RequestMux("_INBOX.me")
    (_, one), (_, two), (_, other) = (
        mux.open(subject, FAR, None) for subject in ("A.b", "A.b", "a.b")
    )
    mux.fail(PermissionDeniedError, "A.b")
    for future in (one, two):
        with pytest.raises(PermissionDeniedError, match=r": A\.b"):
            await future
    assert not other.done()
    mux.fail(ConnectionLostError)
    with pytest.raises(ConnectionLostError):
        await other
    assert mux._pending == {}
    mux.close()


async def test_calls_expire_at_their_own_deadline() -> None:
    """The error names the subject of the expired call."""
    clock = travel()
    mux = RequestMux("_INBOX.me", clock)
    _, late = mux.open("a.late", clock() + 10, None)
    _, soon = mux.open("a.soon", clock() + 1, None)
    clock.advance(2)
    with pytest.raises(DeadlineExceededError, match=r"no reply from a\.soon in time$"):
        await soon
    assert not late.done()
    clock.advance(10)
    with pytest.raises(DeadlineExceededError, match=r"a\.late"):
        await late
    assert mux._pending == {}


async def test_finished_calls_do_not_expire() -> None:
    """Answered and discarded calls no longer have a timer."""
    clock = travel()
    mux = RequestMux("_INBOX.me", clock)
    opened = [mux.open("a.b", clock() + 1, None) for _ in range(3)]
    mux.on_delivery(make_reply(opened[0][0]))
    mux.discard(opened[1][0])
    clock.advance(2)
    await settle()
    assert (await opened[0][1]).payload == b"yes"
    assert not opened[1][1].done()
    assert isinstance(opened[2][1].exception(), DeadlineExceededError)


async def collect(patch: pytest.MonkeyPatch, *arriving: Delivery | float) -> list[bytes]:
    """Let messages and pauses (in seconds) arrive, and return the collected payloads."""
    clock, arrived = travel(), asyncio.Queue[Delivery]()
    patch.setattr(request_mux, "monotonic", clock)
    task = asyncio.create_task(gather_replies(arrived, timeout=10, quiet=1))
    await settle()
    for each in arriving:
        if isinstance(each, Delivery):
            arrived.put_nowait(each)
        else:
            clock.advance(each)
        await settle()
    assert task.done()
    return [delivery.payload for delivery in await task]


async def test_collecting_ends_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause longer than `quiet` ends it, and no responders end it at once."""
    one, two = make_reply("r", b"1"), make_reply("r", b"2")
    replies = await collect(monkeypatch, 0.5, one, 0.9, two, 1.1, make_reply("r", b"3"))
    assert replies == [b"1", b"2"]
    assert await collect(monkeypatch, make_reply("r", b"", NOBODY)) == []


@pytest.mark.parametrize(("limit", "most"), [("MAX_REPLIES", 3), ("MAX_REPLY_BYTES", 5)])
async def test_collecting_ends_at_its_limits(
    limit: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of replies fills neither memory nor the list."""
    monkeypatch.setattr(request_mux, limit, most)
    replies = await collect(monkeypatch, *[make_reply("r", b"12")] * 9)
    assert replies == [b"12"] * 3


@pytest.mark.parametrize("guide", ["discovery", "security"])
def test_limits_are_those_of_the_guide(guide: str) -> None:
    """The guides say how many answers are gathered."""
    limits = f"{MAX_REPLIES:,} answers, or {MAX_REPLY_BYTES // 2**20} MiB of them"
    assert limits in (REPOSITORY / "runtime" / "docs" / f"{guide}.md").read_text()


async def test_collecting_ends_at_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither silence nor a stream of replies extends the timeout."""
    assert await collect(monkeypatch, 9.0, 1.1) == []
    stream = [each for number in range(20) for each in (0.7, make_reply("r", b"%d" % number))]
    assert len(await collect(monkeypatch, *stream)) == 14


async def test_inbox_that_fails_after_its_request_gave_up() -> None:
    """The failure has nobody to tell, and is no record of the event loop."""
    records: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, record: records.append(record))
    lost = asyncio.Event()

    class Connection:
        """A connection that is lost before the server has accepted the inbox."""

        def register(self, *_: object) -> Any:
            """Subscribe."""
            return SimpleNamespace(drop=lambda: None, denied=False)

        async def fence(self) -> None:
            """Fail."""
            await lost.wait()
            raise ConnectionLostError

    inbox, connection = ReplyInbox("_INBOX"), Connection()
    with pytest.raises(DeadlineExceededError):
        await inbox.open(cast("NatsConnection", connection), "a.b", 0)
    lost.set()
    await settle()
    gc.collect()
    assert inbox.interest is None
    assert records == []

"""Replies that come late, twice, from others, or never."""

from __future__ import annotations

import asyncio

import pytest

from testkit.clocks import travel
from testkit.waiting import settle
from weenats.errors import (
    ConnectionLostError,
    DeadlineExceededError,
    NoRespondersError,
    PermissionDeniedError,
)
from weenats.transport import Delivery
from weenats.transport import inbox as request_mux
from weenats.transport.inbox import RequestMux, gather_replies

NOBODY = b"NATS/1.0 503\r\n\r\n"
FAR = 1e12


def answer(reply: str, payload: bytes = b"yes", block: bytes = b"") -> Delivery:
    """Return what arrives on a reply subject."""
    return Delivery(reply, "", payload, block)


async def test_each_request_has_a_reply_subject_of_its_own() -> None:
    """Subjects are below the one inbox and never used twice; replies find their own requests."""
    mux = RequestMux("_INBOX.me")
    opened = [mux.open("a.b", FAR, None) for _ in range(100)]
    assert mux.wildcard == "_INBOX.me.*"
    assert len({reply for reply, _ in opened}) == 100
    assert all(reply.rpartition(".")[0] == "_INBOX.me" for reply, _ in opened)
    for reply, _ in reversed(opened):
        mux.on_delivery(answer(reply, reply.encode()))
    assert [(await future).payload.decode() for _, future in opened] == [r for r, _ in opened]
    mux.close()


async def test_late_and_duplicate_replies_are_dropped() -> None:
    """The first reply holds; a second one, one after giving up and one to nobody change nothing."""
    mux = RequestMux("_INBOX.me")
    reply, future = mux.open("a.b", FAR, None)
    mux.on_delivery(answer(reply, b"first"))
    mux.on_delivery(answer(reply, b"second"))
    assert (await future).payload == b"first"
    reply, given_up = mux.open("a.b", FAR, None)
    mux.discard(reply)
    mux.discard(reply)
    mux.on_delivery(answer(reply))
    mux.on_delivery(answer("_INBOX.me.999"))
    mux.on_delivery(answer("_INBOX.other.1"))
    assert not given_up.done()
    assert mux._pending == {}
    mux.close()


async def test_a_reply_to_a_cancelled_call_is_dropped() -> None:
    """A caller that was cancelled while its reply was on the way is not disturbed."""
    mux = RequestMux("_INBOX.me")
    reply, future = mux.open("a.b", FAR, None)
    future.cancel()
    mux.on_delivery(answer(reply))
    mux.fail(ConnectionLostError)
    assert future.cancelled()
    mux.close()


async def test_foreign_answers_are_passed_over_and_counted() -> None:
    """A stream that answers first does not end the call; when nothing better comes, it is told."""
    clock = travel()
    mux = RequestMux("_INBOX.me", clock)
    reply, future = mux.open("a.b", FAR, lambda delivery: delivery.payload == b"yes")
    mux.on_delivery(answer(reply, b'{"stream":"S","seq":1}'))
    mux.on_delivery(answer(reply, b"yes"))
    assert (await future).payload == b"yes"
    reply, future = mux.open("a.b", clock() + 1, lambda _: False)
    for _ in range(3):
        mux.on_delivery(answer(reply))
    clock.advance(2)
    with pytest.raises(DeadlineExceededError, match=r"3 message\(s\) arrived that are not"):
        await future


async def test_nobody_listens() -> None:
    """The status of the server ends the call at once, under whatever condition it waits."""
    mux = RequestMux("_INBOX.me")
    for accepts in (None, lambda _: False):
        reply, future = mux.open("a.b", FAR, accepts)
        mux.on_delivery(answer(reply, b"", NOBODY))
        with pytest.raises(NoRespondersError, match=r"no responders on a\.b"):
            await future
    mux.close()


async def test_a_payload_beside_a_status_is_a_reply() -> None:
    """Only an empty message with the status is the server's; a body is somebody's answer."""
    mux = RequestMux("_INBOX.me")
    reply, future = mux.open("a.b", FAR, None)
    mux.on_delivery(answer(reply, b"yes", NOBODY))
    assert (await future).payload == b"yes"
    mux.close()


async def test_failing_by_subject() -> None:
    """A refused subject ends the calls to it and to no other; without one all end."""
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


async def test_expiry() -> None:
    """A call ends at its own deadline, early ones first, and says which subject kept silent."""
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


async def test_answered_calls_never_expire() -> None:
    """What was answered, failed or given up is watched no longer."""
    clock = travel()
    mux = RequestMux("_INBOX.me", clock)
    opened = [mux.open("a.b", clock() + 1, None) for _ in range(3)]
    mux.on_delivery(answer(opened[0][0]))
    mux.discard(opened[1][0])
    clock.advance(2)
    await settle()
    assert (await opened[0][1]).payload == b"yes"
    assert not opened[1][1].done()
    assert isinstance(opened[2][1].exception(), DeadlineExceededError)


async def gather(patch: pytest.MonkeyPatch, *arriving: Delivery | float) -> list[bytes]:
    """Let messages and pauses (seconds) arrive, and return what is gathered."""
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


async def test_gathering_ends_when_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a reply, a pause longer than `quiet` ends it; nobody at all ends it at once."""
    one, two = answer("r", b"1"), answer("r", b"2")
    replies = await gather(monkeypatch, 0.5, one, 0.9, two, 1.1, answer("r", b"3"))
    assert replies == [b"1", b"2"]
    assert await gather(monkeypatch, answer("r", b"", NOBODY)) == []


async def test_gathering_ends_with_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is waited for until the timeout, and a stream of replies lasts no longer."""
    assert await gather(monkeypatch, 9.0, 1.1) == []
    stream = [each for number in range(20) for each in (0.7, answer("r", b"%d" % number))]
    assert len(await gather(monkeypatch, *stream)) == 14

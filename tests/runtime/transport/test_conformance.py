"""One suite over both transports, so that the one in memory cannot drift from a real server."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from testkit.transports import answering, fence_all, soon
from testkit.waiting import LIMIT, exceed_deadline
from weenats import (
    DeadlineExceededError,
    MessageTooLargeError,
    NoRespondersError,
)
from weenats.transport import Delivery, OnDelivery, Transport


async def test_a_message_arrives_as_it_was_sent(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Subject, payload and reply arrive; header names are compared without case, the last holds."""
    arrived: list[Delivery] = []
    listener.subscribe(subject, arrived.append)
    await listener.fence()
    caller.publish(subject, b"a\r\n\x00", "X-One: 1\r\nx-one: ä\r\nTwo:2\r\n".encode(), "back.here")
    caller.publish(subject, b"")
    await fence_all(caller, listener)
    first, second = arrived
    assert (first.subject, first.reply, first.payload) == (subject, "back.here", b"a\r\n\x00")
    assert dict(first.headers) == {"x-one": "ä", "two": "2"}
    assert first.headers["X-ONE"] == "ä"
    assert (second.payload, second.reply, dict(second.headers), second.status) == (b"", "", {}, "")


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("a.b", ["a.b"]),
        ("a.*", ["a.b"]),
        ("*.b", ["a.b", "c.b"]),
        ("*.*.c", ["a.b.c"]),
        ("a.>", ["a.b", "a.b.c"]),
        (">", ["a", "a.b", "c.b", "a.b.c"]),
    ],
)
async def test_wildcards(
    caller: Transport, listener: Transport, subject: str, pattern: str, taken: list[str]
) -> None:
    """`*` stands for one token, `>` for one or more at the end."""
    arrived: list[str] = []
    prefix = f"{subject}."
    listener.subscribe(
        prefix + pattern, lambda delivery: arrived.append(delivery.subject.removeprefix(prefix))
    )
    await listener.fence()
    for tail in ("a", "a.b", "c.b", "a.b.c"):
        caller.publish(prefix + tail, b"")
    caller.publish(subject, b"")
    await fence_all(caller, listener)
    assert arrived == taken


async def test_one_of_each_queue_group(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Every plain subscriber gets a message, and one member of each group, each in its turn."""
    counts = {"plain": 0, "a1": 0, "a2": 0, "b1": 0}

    def count(name: str) -> OnDelivery:
        def on_delivery(_: Delivery) -> None:
            counts[name] += 1

        return on_delivery

    for name in counts:
        listener.subscribe(subject, count(name), "" if name == "plain" else name[0])
    await listener.fence()
    for _ in range(100):
        caller.publish(subject, b"")
    await fence_all(caller, listener)
    assert (counts["plain"], counts["b1"], counts["a1"] + counts["a2"]) == (100, 100, 100)
    assert min(counts.values()) > 0


async def test_requests_get_their_own_replies(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Replies find their requests among many, and never carry the request's headers."""
    listener.subscribe(subject, answering(listener))
    await listener.fence()
    requests = [
        caller.request(subject, b"%d" % number, b"Authorization: secret\r\n", soon())
        for number in range(200)
    ]
    replies = await asyncio.gather(*requests)
    assert [reply.payload for reply in replies] == [b"%d" % number for number in range(200)]
    assert not any(reply.headers for reply in replies)


async def test_nobody_listens(caller: Transport, subject: str) -> None:
    """A request that nobody listens to fails at once; a message is dropped without a word."""
    caller.publish(subject, b"")
    with pytest.raises(NoRespondersError, match=subject):
        await caller.request(subject, b"", b"", soon())
    async with asyncio.timeout(LIMIT):
        assert await caller.request_many(subject, b"", timeout=120, quiet=120) == []


async def test_no_reply_in_time(caller: Transport, listener: Transport, subject: str) -> None:
    """A request ends when its deadline passes, or has passed before; a late reply is dropped."""
    arrived: list[Delivery] = []
    listener.subscribe(subject, arrived.append)
    await listener.fence()

    async def ask(timeout: float) -> Delivery:
        return await caller.request(subject, b"", b"", monotonic() + timeout)

    error = await exceed_deadline(ask, lambda: arrived)
    assert "no reply" in error.message
    with pytest.raises(DeadlineExceededError, match="no reply"):
        await ask(-1)
    await fence_all(caller, listener)
    answering(listener, b"late")(arrived[0])
    listener.subscribe(f"{subject}.2", answering(listener, b"in time"))
    await listener.fence()
    assert (await caller.request(f"{subject}.2", b"", b"", soon())).payload == b"in time"


async def test_a_cancelled_request_is_forgotten(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Cancelling a request leaves the others alone."""
    waiting: asyncio.Queue[Delivery] = asyncio.Queue()
    listener.subscribe(subject, waiting.put_nowait)
    await listener.fence()
    given_up, kept = (
        asyncio.create_task(caller.request(subject, b"", b"", soon())) for _ in range(2)
    )
    deliveries = [await waiting.get(), await waiting.get()]
    given_up.cancel()
    for delivery in deliveries:
        answering(listener, b"done")(delivery)
    assert (await kept).payload == b"done"
    assert given_up.cancelled()


async def test_giving_up_is_told(caller: Transport, listener: Transport, subject: str) -> None:
    """Whoever waits no more, cancelled or out of time, says which reply with an empty message."""
    asked: asyncio.Queue[Delivery] = asyncio.Queue()
    told: asyncio.Queue[Delivery] = asyncio.Queue()
    listener.subscribe(subject, asked.put_nowait)
    listener.subscribe(f"{subject}.cancel", told.put_nowait)
    await listener.fence()

    async def ask(deadline: float) -> Delivery:
        return await caller.request(
            subject, b"x", b"X: y\r\n", deadline, cancel_subject=f"{subject}.cancel"
        )

    call = asyncio.create_task(ask(soon()))
    cancelled = await asked.get()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await exceed_deadline(lambda timeout: ask(monotonic() + timeout), asked.qsize)
    await fence_all(caller, listener)
    late = [asked.get_nowait() for _ in range(asked.qsize())]
    for given_up in (cancelled, *late):
        message = await asyncio.wait_for(told.get(), LIMIT)
        assert (message.reply, message.payload, dict(message.headers)) == (given_up.reply, b"", {})
    assert told.empty()


async def test_only_giving_up_is_told(caller: Transport, listener: Transport, subject: str) -> None:
    """Answered, refused and unsent calls are given up by nobody; without a subject none is told."""
    told: list[Delivery] = []
    listener.subscribe(f"{subject}.*", told.append)
    echo = listener.subscribe(subject, answering(listener))
    await listener.fence()
    cancel = f"{subject}.cancel"
    await caller.request(subject, b"", b"", soon(), cancel_subject=cancel)
    with pytest.raises(MessageTooLargeError):
        await caller.request(subject, b"x" * 2_000_000, b"", soon(), cancel_subject=cancel)
    await listener.unsubscribe([echo])
    with pytest.raises(NoRespondersError):
        await caller.request(subject, b"", b"", soon(), cancel_subject=cancel)
    asked: asyncio.Queue[Delivery] = asyncio.Queue()
    listener.subscribe(subject, asked.put_nowait)
    await listener.fence()
    call = asyncio.create_task(caller.request(subject, b"", b"", soon()))
    await asked.get()
    call.cancel()
    await asyncio.wait([call])
    await fence_all(caller, listener)
    assert told == []


async def test_giving_up_disturbs_nobody(
    caller: Transport, listener: Transport, subject: str, caplog: pytest.LogCaptureFixture
) -> None:
    """That nobody listens there, or that the connection is closed, changes nothing for anyone."""
    asked: asyncio.Queue[Delivery] = asyncio.Queue()
    listener.subscribe(subject, asked.put_nowait)
    listener.subscribe(f"{subject}.echo", answering(listener, b"here"))
    await listener.fence()
    calls = [
        asyncio.create_task(
            caller.request(subject, b"", b"", soon(), cancel_subject=f"{subject}.nobody")
        )
        for _ in range(20)
    ]
    for _ in calls:
        await asked.get()
    for call in calls[1:]:
        call.cancel()
    outcomes = await asyncio.gather(*calls[1:], return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
    assert (await caller.request(f"{subject}.echo", b"", b"", soon())).payload == b"here"
    await fence_all(caller, listener)
    assert not calls[0].done()
    await caller.close()
    calls[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls[0]
    assert caplog.records == []


async def test_a_foreign_reply_is_passed_over(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """What the caller does not accept is no reply, and is told when no other one comes."""
    listener.subscribe(subject, answering(listener, b"foreign"))
    listener.subscribe(f"{subject}.*", answering(listener, b"foreign"))
    listener.subscribe(f"{subject}.both", answering(listener, b"ours"))
    await listener.fence()

    def accepts(delivery: Delivery) -> bool:
        return delivery.payload == b"ours"

    for _ in range(20):
        reply = await caller.request(f"{subject}.both", b"", b"", soon(), accepts)
        assert reply.payload == b"ours"
    offered: list[Delivery] = []

    def refuses(delivery: Delivery) -> bool:
        offered.append(delivery)
        return False

    error = await exceed_deadline(
        lambda timeout: caller.request(subject, b"", b"", monotonic() + timeout, refuses),
        lambda: offered,
    )
    assert "1 message" in error.message


async def test_request_many_gathers_all_replies(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """All who listen are heard, until it is quiet or time is up."""
    for number in range(3):
        listener.subscribe(subject, answering(listener, b"%d" % number))
    listener.subscribe(f"{subject}.silent", lambda _: None)
    await listener.fence()
    replies = await caller.request_many(subject, b"", timeout=LIMIT, quiet=1)
    assert sorted(reply.payload for reply in replies) == [b"0", b"1", b"2"]
    assert await caller.request_many(f"{subject}.silent", b"", timeout=0.02, quiet=0.02) == []

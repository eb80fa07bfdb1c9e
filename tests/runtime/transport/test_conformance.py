"""One suite for both transports, so that the in-memory one behaves like a real server."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from time import monotonic

import pytest

from testkit.clocks import shift_time
from testkit.transports import answering, fence_all, soon
from testkit.waiting import LIMIT, exceed_deadline, settle, until
from weenats import (
    DeadlineExceededError,
    InvalidArgumentError,
    MessageTooLargeError,
    NoRespondersError,
)
from weenats.transport import Delivery, OnDelivery, Transport


async def test_message_arrives_unchanged(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Subject, payload, reply and headers arrive; of duplicate headers the last wins."""
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
async def test_wildcards_match_like_in_nats(
    caller: Transport, listener: Transport, subject: str, pattern: str, taken: list[str]
) -> None:
    """`*` matches one token, `>` one or more at the end."""
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


async def test_one_member_of_each_queue_group_gets_a_message(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Each plain subscriber gets every message, and group members take turns."""
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
    """Replies reach their own requests, and never carry the request's headers."""
    listener.subscribe(subject, answering(listener))
    await listener.fence()
    requests = [
        caller.request(subject, b"%d" % number, b"Authorization: secret\r\n", soon())
        for number in range(200)
    ]
    replies = await asyncio.gather(*requests)
    assert [reply.payload for reply in replies] == [b"%d" % number for number in range(200)]
    assert not any(reply.headers for reply in replies)


async def test_request_without_responders_fails_immediately(
    caller: Transport, subject: str
) -> None:
    """A request without responders fails at once; a plain message is dropped."""
    caller.publish(subject, b"")
    with pytest.raises(NoRespondersError, match=subject):
        await caller.request(subject, b"", b"", soon())
    async with asyncio.timeout(LIMIT):
        assert await caller.request_many(subject, b"", timeout=120, quiet=120) == []


async def test_request_without_a_reply_times_out(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """A request ends at its deadline, and a late reply is dropped."""
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


async def test_cancelled_request_does_not_affect_others(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Other requests still get their replies."""
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


async def test_abandoned_request_sends_a_cancel_message(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """A cancelled or timed out request is named by reply subject, id and digest of the payload."""
    asked: asyncio.Queue[Delivery] = asyncio.Queue()
    told: asyncio.Queue[Delivery] = asyncio.Queue()
    listener.subscribe(subject, asked.put_nowait)
    listener.subscribe(f"{subject}.cancel", told.put_nowait)
    await listener.fence()

    async def ask(deadline: float) -> Delivery:
        return await caller.request(
            subject,
            b"x",
            b"X: y\r\n",
            deadline,
            cancel_subject=f"{subject}.cancel",
            message_id="m-1",
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
        assert (message.reply, message.payload) == (given_up.reply, b"")
        assert dict(message.headers) == {
            "wee-message-id": "m-1",
            "wee-message-digest": sha256(b"x").hexdigest(),
        }
    assert told.empty()


async def test_completed_requests_send_no_cancel_message(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Answered, rejected and unsent requests, or those without a cancel subject, send none."""
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


async def test_cancel_message_without_listener_is_harmless(
    caller: Transport, listener: Transport, subject: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Missing listeners or a closed connection affect no other request and log nothing."""
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
    closing = asyncio.create_task(caller.close())
    await asyncio.sleep(0)
    calls[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls[0]
    await closing
    assert caplog.records == []


async def test_unaccepted_replies_are_ignored(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """A reply that is not accepted is ignored, and mentioned if the request times out."""
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


async def test_request_many_collects_all_replies(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """request_many() collects replies until there is a pause or the timeout passes."""
    answered: list[int] = []

    def replying(number: int) -> OnDelivery:
        def reply(delivery: Delivery) -> None:
            listener.publish(delivery.reply, b"%d" % number)
            answered.append(number)

        return reply

    for number in range(3):
        listener.subscribe(subject, replying(number))
    await listener.fence()
    time = shift_time()
    asking = asyncio.create_task(
        caller.request_many(subject, b"", timeout=3 * LIMIT, quiet=2 * LIMIT)
    )
    await until(lambda: len(answered) == 3)
    await listener.fence()
    await caller.fence()
    await settle()
    assert not asking.done()
    time.advance(2 * LIMIT)
    replies = await asking
    assert sorted(reply.payload for reply in replies) == [b"0", b"1", b"2"]
    heard: list[Delivery] = []
    listener.subscribe(f"{subject}.silent", heard.append)
    await listener.fence()
    silent = asyncio.create_task(
        caller.request_many(f"{subject}.silent", b"", timeout=LIMIT, quiet=LIMIT)
    )
    await until(lambda: heard)
    time.advance(2 * LIMIT)
    assert await silent == []


SMUGGLED = " 0\r\n\r\nPUB admin.delete 5\r\npwned\r\nPUB x"


@pytest.mark.parametrize(
    "text", ["", "a b", "a\tb", "a\nb", "a\rb", " a", "a ", f"a{SMUGGLED}", "a\ud800b"]
)
async def test_malformed_subjects_are_not_sent(
    caller: Transport, listener: Transport, subject: str, text: str
) -> None:
    """Subjects, reply subjects and queue groups from outside cannot end the protocol line."""
    arrived: list[str] = []
    listener.subscribe(">", lambda delivery: arrived.append(delivery.subject))
    await listener.fence()
    with pytest.raises(InvalidArgumentError, match="is not a valid subject"):
        caller.publish(text, b"")
    with pytest.raises(InvalidArgumentError, match="is not a valid subject"):
        await caller.request(text, b"", b"", soon())
    with pytest.raises(InvalidArgumentError, match="is not a valid subject"):
        await caller.request_many(text, b"", timeout=LIMIT, quiet=LIMIT)
    with pytest.raises(InvalidArgumentError, match="is not a valid subject"):
        caller.subscribe(text, arrived.append)
    if text:  # "" is no reply and no queue group
        with pytest.raises(InvalidArgumentError, match="is not a valid reply subject"):
            caller.publish(subject, b"", reply=text)
        with pytest.raises(InvalidArgumentError, match="is not a valid queue group"):
            caller.subscribe(subject, arrived.append, text)
    caller.publish(f"{subject}.end", b"")
    await fence_all(caller, listener)
    assert [each for each in arrived if not each.startswith("_INBOX")] == [f"{subject}.end"]


async def test_lines_that_nats_does_not_take_are_not_sent(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """A subject or reply above `max_control_line` fails at once; it would end the connection."""
    arrived: list[int] = []
    listener.subscribe(f"{subject}.>", lambda delivery: arrived.append(len(delivery.subject)))
    await listener.fence()
    ended = asyncio.create_task(caller.wait_disconnected())
    fits, long = (subject + "." + "x" * (size - len(subject) - 1) for size in (4000, 4096))
    caller.publish(fits, b"")
    caller.publish(fits, b"", b"A: 1\r\n")
    too_long = pytest.raises(InvalidArgumentError, match=r"at most 4096 \(max_control_line\)")
    for name, reply in ((long, ""), (fits, fits), ("\xe4" * 2048, "")):
        for headers in (b"", b"A: 1\r\n"):
            with too_long:
                caller.publish(name, b"", headers, reply)
    with too_long:
        await caller.request(long, b"", b"", soon())
    with too_long:
        await caller.request_many(long, b"", timeout=LIMIT, quiet=LIMIT)
    with too_long:
        caller.subscribe(long, lambda _: None)
    with too_long:
        caller.subscribe(subject, lambda _: None, "x" * 4096)
    caller.publish(f"{subject}.end", b"")
    await fence_all(caller, listener)
    assert arrived == [4000, 4000, len(subject) + 4]
    assert not ended.done()
    ended.cancel()


@pytest.mark.parametrize("headers", [b"A: 1", b"A: 1\n", b"A: 1\r", b"\n"])
async def test_malformed_headers_are_not_sent(
    caller: Transport, subject: str, headers: bytes
) -> None:
    """The last header line ends with CR LF, so that the block ends where it should."""
    with pytest.raises(InvalidArgumentError, match="are not lines that end with CR LF"):
        caller.publish(subject, b"", headers)
    with pytest.raises(InvalidArgumentError, match="are not lines that end with CR LF"):
        await caller.request(subject, b"", headers, soon())


@pytest.mark.parametrize("text", ["über.ŝubject", "a\xa0b", "a\u202eb", "a\0b", "a\x7fb"])
async def test_subjects_that_nats_carries_are_sent(
    caller: Transport, listener: Transport, subject: str, text: str
) -> None:
    """Callers in other languages may have reply subjects of any characters but white space."""
    arrived: list[tuple[str, str]] = []
    listener.subscribe(
        f"{subject}.>", lambda delivery: arrived.append((delivery.subject, delivery.reply))
    )
    await listener.fence()
    caller.publish(f"{subject}.{text}", b"", reply=text)
    await fence_all(caller, listener)
    assert arrived == [(f"{subject}.{text}", text)]


async def test_inboxes_are_unique_subjects(caller: Transport) -> None:
    """Each new inbox can be subscribed to, and differs from all others."""
    inboxes = {caller.new_inbox() for _ in range(100)}
    assert len(inboxes) == 100
    arrived: list[str] = []
    for inbox in sorted(inboxes)[:2]:
        caller.subscribe(inbox, lambda delivery: arrived.append(delivery.subject))
        caller.publish(inbox, b"")
    await caller.fence()
    assert arrived == sorted(inboxes)[:2]


async def test_the_end_of_a_connection_is_noticed(caller: Transport) -> None:
    """wait_disconnected() returns once the connection is closed, not before."""
    ended = asyncio.create_task(caller.wait_disconnected())
    await caller.fence()
    assert not ended.done()
    await caller.close()
    async with asyncio.timeout(LIMIT):
        await ended
        await caller.wait_disconnected()

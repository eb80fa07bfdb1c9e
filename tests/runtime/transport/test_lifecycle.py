"""The same suite over both transports: fences, limits, and how connections begin and end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from testkit.transports import answering, fence_all, soon
from testkit.waiting import LIMIT
from weenats import ConnectionLostError, MessageTooLargeError, NoRespondersError
from weenats.transport import Delivery, Transport

Opener = Callable[[], Transport]


async def test_a_fence_is_a_barrier(caller: Transport, listener: Transport, subject: str) -> None:
    """After subscribe and fence a request over another connection finds its responder."""
    for round_number in range(300):
        own = f"{subject}.{round_number}"
        listener.subscribe(own, answering(listener, b"here"))
        await listener.fence()
        assert (await caller.request(own, b"", b"", soon())).payload == b"here"


async def test_leaving_a_group_loses_nothing(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Members leave and join while requests are under way: each one is answered."""
    answered = 0
    done = asyncio.Event()

    async def keep_asking() -> None:
        nonlocal answered
        while not done.is_set():
            await caller.request(subject, b"", b"", soon())
            answered += 1

    staying = listener.subscribe(subject, answering(listener, b"staying"), "group")
    await listener.fence()
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(keep_asking())
        for _ in range(60):
            leaving = listener.subscribe(subject, answering(listener, b"leaving"), "group")
            await listener.fence()
            before = answered
            while answered < before + 50:
                await caller.request(subject, b"", b"", soon())
            staying, leaving = leaving, staying
            await listener.unsubscribe([leaving])
        done.set()
    assert answered > 3000


async def test_after_unsubscribe_nothing_arrives(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """What was sent before the end is handed over, what is sent after it is not."""
    arrived: list[bytes] = []
    interest = listener.subscribe(subject, lambda delivery: arrived.append(delivery.payload))
    assert interest.subject == subject
    await listener.fence()
    caller.publish(subject, b"before")
    await caller.fence()
    await listener.unsubscribe([interest])
    assert arrived == [b"before"]
    caller.publish(subject, b"after")
    await fence_all(caller, listener)
    await listener.unsubscribe([interest])
    assert arrived == [b"before"]


async def test_messages_that_are_too_large_are_not_sent(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Headers and payload have max_payload bytes at most together; the connection lives on."""
    arrived: list[int] = []
    listener.subscribe(subject, lambda delivery: arrived.append(len(delivery.payload)))
    await listener.fence()
    limit, headers = caller.max_payload, b"A: b\r\n"
    fitting = limit - len(headers) - len(b"NATS/1.0\r\n\r\n")
    for payload, lines in ((b"x" * (limit + 1), b""), (b"x" * (fitting + 1), headers)):
        with pytest.raises(MessageTooLargeError, match=f"at most {limit}"):
            caller.publish(subject, payload, lines)
        with pytest.raises(MessageTooLargeError):
            await caller.request(subject, payload, lines, soon())
    caller.publish(subject, b"x" * limit)
    caller.publish(subject, b"x" * fitting, headers)
    await fence_all(caller, listener)
    assert arrived == [limit, fitting]


async def test_a_callback_that_raises_ends_nothing(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """A delivery that cannot be taken is logged; the next ones arrive."""
    arrived: list[bytes] = []

    def on_delivery(delivery: Delivery) -> None:
        arrived.append(delivery.payload)
        raise ValueError

    listener.subscribe(subject, on_delivery)
    await listener.fence()
    for payload in (b"1", b"2"):
        caller.publish(subject, payload)
    await fence_all(caller, listener)
    assert arrived == [b"1", b"2"]


async def test_before_connect(opener: Opener, subject: str) -> None:
    """Publishing and subscribing need a connection; a request opens it; connecting twice is one."""
    transport = opener()
    assert transport.max_payload == 1_048_576
    with pytest.raises(ConnectionLostError, match="not open yet"):
        transport.publish(subject, b"")
    with pytest.raises(ConnectionLostError, match="not open yet"):
        transport.subscribe(subject, print)
    with pytest.raises(ConnectionLostError):
        await transport.fence()
    await transport.unsubscribe([])
    with pytest.raises(NoRespondersError):
        await transport.request(subject, b"", b"", soon())
    await asyncio.gather(transport.connect(), transport.connect())
    await transport.fence()


async def test_a_closed_transport_refuses_everything_at_once(
    opener: Opener, caller: Transport, subject: str
) -> None:
    """After close every verb raises ConnectionLostError; closing again is fine."""
    interest = caller.subscribe(subject, print)
    for transport in (caller, opener()):
        await transport.close()
        await transport.close()
        calls: list[Callable[[], Awaitable[object]]] = [
            transport.connect,
            transport.fence,
            lambda t=transport: t.request(subject, b"", b"", soon()),  # type: ignore[misc]
            lambda t=transport: t.request_many(subject, b"", timeout=9, quiet=9),  # type: ignore[misc]
        ]
        for call in calls:
            with pytest.raises(ConnectionLostError):
                await asyncio.wait_for(call(), LIMIT)
        with pytest.raises(ConnectionLostError):
            transport.publish(subject, b"")
        with pytest.raises(ConnectionLostError):
            transport.subscribe(subject, print)
        await transport.unsubscribe([interest])


async def test_close_ends_calls_that_wait(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Requests that wait when it is closed learn at once; what was published is sent."""
    waiting: asyncio.Queue[Delivery] = asyncio.Queue()
    listener.subscribe(subject, waiting.put_nowait)
    await listener.fence()
    calls: list[asyncio.Task[object]] = [
        asyncio.create_task(caller.request(subject, b"", b"", soon())),
        asyncio.create_task(caller.request_many(subject, b"", timeout=10, quiet=10)),
    ]
    await waiting.get()
    await waiting.get()
    caller.publish(subject, b"last")
    await caller.close()
    for call in calls:
        with pytest.raises(ConnectionLostError):
            await asyncio.wait_for(call, LIMIT)
    assert (await waiting.get()).payload == b"last"

"""Fences, size limits, connecting and closing, for both transports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from testkit.transports import answering, fence_all, soon
from testkit.waiting import LIMIT
from weenats import (
    ConnectionClosedError,
    ConnectionLostError,
    MessageTooLargeError,
    NoRespondersError,
)
from weenats.transport import Delivery, Transport

Opener = Callable[[], Transport]


async def test_fence_makes_subscriptions_visible(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """After subscribe and fence a request from another connection finds its responder."""
    for round_number in range(300):
        own = f"{subject}.{round_number}"
        listener.subscribe(own, answering(listener, b"here"))
        await listener.fence()
        assert (await caller.request(own, b"", b"", soon())).payload == b"here"


async def test_leaving_a_queue_group_loses_no_request(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Requests are answered while members leave and join."""
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


async def test_no_message_arrives_after_unsubscribe(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Messages sent before are delivered, later ones are not."""
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


async def test_oversized_messages_are_rejected(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Headers and payload together are limited to max_payload; the connection stays open."""
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


async def test_failing_callback_does_not_stop_deliveries(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """After a callback raised, the next messages still arrive."""
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


async def test_operations_before_connect(opener: Opener, subject: str) -> None:
    """Publishing and subscribing need a connection; a request opens it."""
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


async def test_closed_transport_rejects_all_operations(
    opener: Opener, caller: Transport, subject: str
) -> None:
    """Each operation raises ConnectionClosedError; closing twice is allowed."""
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
            with pytest.raises(ConnectionClosedError, match="nothing was sent"):
                await asyncio.wait_for(call(), LIMIT)
        with pytest.raises(ConnectionClosedError, match="nothing was sent"):
            transport.publish(subject, b"")
        with pytest.raises(ConnectionClosedError, match="nothing was sent"):
            transport.subscribe(subject, print)
        await transport.unsubscribe([interest])


async def test_close_ends_pending_calls(
    caller: Transport, listener: Transport, subject: str
) -> None:
    """Pending requests fail at once, and published messages are still sent."""
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

"""A transport within one process, for unit tests.

Subjects, wildcards, queue groups and no-responders as NATS has them.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Final

from weenats.errors import ConnectionLostError, DeadlineExceededError
from weenats.protocol.identifiers import STAMPER
from weenats.transport.base import Accepts, Delivery, OnDelivery, Subscription, check_size, give_up
from weenats.transport.inbox import RequestMux, gather_replies

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_PAYLOAD: Final = 1_048_576
_NO_RESPONDERS: Final = b"NATS/1.0 503\r\n\r\n"


class _Subscription:
    __slots__ = ("on_delivery", "queue_group", "subject", "tokens")

    def __init__(self, subject: str, queue_group: str, on_delivery: OnDelivery) -> None:
        self.subject = subject
        self.tokens = subject.split(".")
        self.queue_group = queue_group
        self.on_delivery = on_delivery


class MemoryBroker:
    """What the transports of one test share.

    Every message goes to who listens, one member of a queue group each.
    """

    def __init__(self) -> None:
        self._subscriptions: list[_Subscription] = []
        self._turn = count()

    def add(self, subscription: _Subscription) -> None:
        """Take interest."""
        self._subscriptions.append(subscription)

    def remove(self, subscription: _Subscription) -> None:
        """Drop interest; unknown ones are ignored."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def deliver(self, subject: str, reply: str, payload: bytes, block: bytes) -> None:
        """Deliver on the next turns of the loop, or say that nobody listens."""
        tokens = subject.split(".")
        matching = [each for each in self._subscriptions if _matches(each.tokens, tokens)]
        if not matching and reply:
            self.deliver(reply, "", b"", _NO_RESPONDERS)
        for subscription in self._one_of_each_group(matching):
            delivery = Delivery(subject, reply, payload, block)
            asyncio.get_running_loop().call_soon(subscription.on_delivery, delivery)

    def _one_of_each_group(self, matching: list[_Subscription]) -> list[_Subscription]:
        groups: dict[str, list[_Subscription]] = {}
        for each in matching:
            if each.queue_group:
                groups.setdefault(each.queue_group, []).append(each)
        turn = next(self._turn)
        chosen = [members[turn % len(members)] for members in groups.values()]
        return [each for each in matching if not each.queue_group] + chosen


class MemoryTransport:
    """One connection to a MemoryBroker; transports on the same broker reach each other."""

    def __init__(
        self, broker: MemoryBroker | None = None, *, max_payload: int = _MAX_PAYLOAD
    ) -> None:
        self.broker = broker or MemoryBroker()
        self._max_payload = max_payload
        self._mine: list[_Subscription] = []
        self._mux = RequestMux(f"_INBOX.{STAMPER.new_id()}")
        self._inbox: _Subscription | None = None
        self._open = False
        self._closed = False
        self._ended = asyncio.Event()

    @property
    def max_payload(self) -> int:
        """Bytes that headers and payload of a message may have together."""
        return self._max_payload

    @property
    def is_private(self) -> bool:
        """Nothing leaves the process."""
        return True

    @property
    def server_address(self) -> tuple[str, int] | None:
        """There is no server."""
        return None

    async def connect(self) -> None:
        """Be connected; see Transport."""
        if self._closed:
            raise ConnectionLostError("the connection to NATS was closed")
        self._open = True

    async def close(self) -> None:
        """Fail what waits, and end the connection for good."""
        if self._closed:
            return
        if self._open:
            await self.fence()
        self._closed = True
        self._ended.set()
        for subscription in self._mine:
            self.broker.remove(subscription)
        self._mux.fail(
            lambda subject: ConnectionLostError(f"the connection was closed while {subject} ran")
        )
        self._mux.close()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended for good; see Transport."""
        await self._ended.wait()

    def publish(self, subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> None:
        """Hand a message to the broker; see Transport."""
        self._check_open()
        check_size(subject, payload, headers, self._max_payload)
        block = b"NATS/1.0\r\n" + headers + b"\r\n" if headers else b""
        self.broker.deliver(subject, reply, payload, block)

    async def request(  # noqa: PLR0913 - what one call is made of
        self,
        subject: str,
        payload: bytes,
        headers: bytes,
        deadline: float,
        accepts: Accepts | None = None,
        *,
        cancel_subject: str = "",
    ) -> Delivery:
        """Send a message and wait for the first reply that is accepted; see Transport."""
        await self.connect()
        if self._inbox is None:
            self._inbox = self.subscribe(self._mux.wildcard, self._mux.on_delivery)
        reply, future = self._mux.open(subject, deadline, accepts)
        try:
            self.publish(subject, payload, headers, reply)
            return await future
        except (asyncio.CancelledError, DeadlineExceededError):
            give_up(self, cancel_subject, reply)
            raise
        finally:
            self._mux.discard(reply)

    async def request_many(
        self, subject: str, payload: bytes, headers: bytes = b"", *, timeout: float, quiet: float
    ) -> list[Delivery]:
        """Send a message and gather replies; see Transport."""
        await self.connect()
        with self._mux.gathering(subject) as arrivals:
            inbox = self.subscribe(f"_INBOX.{STAMPER.new_id()}", arrivals.put_nowait)
            try:
                self.publish(subject, payload, headers, inbox.subject)
                return await gather_replies(arrivals, timeout=timeout, quiet=quiet)
            finally:
                await self.unsubscribe([inbox])

    def subscribe(
        self, subject: str, on_delivery: OnDelivery, queue_group: str = ""
    ) -> _Subscription:
        """Register interest; see Transport."""
        self._check_open()
        subscription = _Subscription(subject, queue_group, on_delivery)
        self._mine.append(subscription)
        self.broker.add(subscription)
        return subscription

    async def fence(self) -> None:
        """Let what was sent before arrive; see Transport."""
        self._check_open()
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(passed.set_result, None)
        await passed

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """End interest behind a fence; see Transport."""
        for subscription in subscriptions:
            if isinstance(subscription, _Subscription):
                self.broker.remove(subscription)
        if self._open and not self._closed:
            await self.fence()

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionLostError("the connection to NATS was closed")
        if not self._open:
            raise ConnectionLostError("the connection to NATS is not open yet")


def _matches(pattern: list[str], subject: list[str]) -> bool:
    for index, part in enumerate(pattern):
        if part == ">":
            return len(subject) > index
        if index >= len(subject) or part not in ("*", subject[index]):
            return False
    return len(pattern) == len(subject)

"""An in-memory transport for unit tests, with NATS's wildcards, queue groups and no-responders.

It has streams and key-value buckets as well, see `memory_streams`.
"""

import asyncio
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from itertools import count
from typing import Final

from weenats._internal.uncopyable import Uncopyable
from weenats.errors import (
    ConnectionClosedError,
    ConnectionLostError,
    DeadlineExceededError,
    connection_error,
)
from weenats.protocol.headers import Headers
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.subjects import encode_subject, matches
from weenats.testing.memory_events import MemoryEvents
from weenats.testing.memory_streams import Answer, MemoryStreams
from weenats.transport.base import Accepts, Delivery, OnDelivery, Subscription
from weenats.transport.cancellation import send_cancellation
from weenats.transport.event_loop import check_event_loop
from weenats.transport.inbox import RequestMux, gather_replies
from weenats.transport.message_checks import (
    DEFAULT_MAX_CONTROL_LINE,
    check_control_line,
    check_message,
    check_reply,
    check_subscription,
)

__all__ = ["MemoryBroker", "MemoryTransport"]

_MAX_PAYLOAD: Final = 1_048_576
_NO_RESPONDERS: Final = b"NATS/1.0 503\r\n\r\n"


@dataclass(slots=True, eq=False)
class _Subscription:
    subject: str
    queue_group: str
    on_delivery: OnDelivery
    tokens: list[str]
    loop: asyncio.AbstractEventLoop
    denied: bool = False


class MemoryBroker:
    """Delivers messages between the transports that share it, in place of a NATS server.

    Durable events are acknowledged and reach subscribers; they are not kept for consumers.

    Args:
        jetstream: whether it has streams.
    """

    def __init__(self, *, jetstream: bool = True) -> None:
        self._subscriptions: list[_Subscription] = []
        self._streams = MemoryStreams() if jetstream else None
        self._events = MemoryEvents()
        self._turn = count()

    def add(self, subscription: _Subscription) -> None:
        """Add a subscription.

        Args:
            subscription: a subscription of a MemoryTransport.
        """
        self._subscriptions.append(subscription)

    def remove(self, subscription: _Subscription) -> None:
        """Remove a subscription; unknown ones are ignored.

        Args:
            subscription: a subscription of a MemoryTransport.
        """
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def deliver(self, subject: str, reply: str, payload: bytes, block: bytes) -> None:
        """Deliver a message in later iterations of the event loop, or reply with no responders.

        Every matching subscription receives it, but of a queue group one only.

        Args:
            subject: subject of the message.
            reply: reply subject, "" if no reply is expected.
            payload: payload of the message.
            block: header block in wire format, b"" without headers.
        """
        tokens = subject.split(".")
        matching = [
            each
            for each in self._subscriptions
            if matches(each.tokens, tokens) and not each.loop.is_closed()
        ]
        answers: list[Answer] = []
        if self._streams is not None:
            answers = self._streams.answers(subject, payload, block)
        if not matching and reply:
            acknowledgement = self._acknowledged(subject, payload, block)
            answers = answers or [acknowledgement]
        for answer in answers if reply else ():
            self.deliver(reply, "", *answer)
        for subscription in self._one_of_each_group(matching):
            delivery = Delivery(subject, reply, payload, block)
            loop = subscription.loop
            is_here = loop is asyncio.get_running_loop()
            call = loop.call_soon if is_here else loop.call_soon_threadsafe
            # As over a network, the sender's context variables do not arrive.
            call(subscription.on_delivery, delivery, context=Context())

    def _acknowledged(self, subject: str, payload: bytes, block: bytes) -> Answer:
        """Return the answer to a message that nobody receives: a durable event is acknowledged."""
        stored = self._events.store(subject, Headers(block))
        if stored is None:
            return b"", _NO_RESPONDERS
        if stored.subject:
            self.deliver(stored.subject, "", payload, block)
        return stored.acknowledgement, b""

    def _one_of_each_group(self, matching: list[_Subscription]) -> list[_Subscription]:
        groups: dict[str, list[_Subscription]] = {}
        for each in matching:
            if each.queue_group:
                groups.setdefault(each.queue_group, []).append(each)
        turn = next(self._turn)
        chosen = [members[turn % len(members)] for members in groups.values()]
        return [each for each in matching if not each.queue_group] + chosen


class MemoryTransport(Uncopyable):
    """An in-memory `Transport`; transports with the same broker are connected with each other.

    Like a connection to NATS it belongs to the event loop that connected it.

    Example:
        ```python
        import asyncio

        from receipts import AddItem, ReceiptsClient
        from receipts.handlers import Receipts
        from weenats import NatsServiceBuilder
        from weenats.testing import MemoryTransport

        async def main() -> None:
            transport = MemoryTransport()
            service = NatsServiceBuilder(Receipts(), transport=transport).build()
            async with service, ReceiptsClient(transport) as receipts:
                receipt = await receipts.add_item("r-1", AddItem(name="Tea", price=0.1, quantity=3))
                assert receipt.total == 0.3

        asyncio.run(main())
        ```

    Args:
        broker: the broker. Default: a new one.
        max_payload: maximum size of headers and payload of a message, in bytes.

    Attributes:
        broker: the broker.
        max_payload: maximum size of headers and payload of a message, in bytes.
        is_private: whether messages are safe from eavesdroppers: always, since they stay in the
            process.
        server_address: None, since there is no server.
    """

    def __init__(
        self, broker: MemoryBroker | None = None, *, max_payload: int = _MAX_PAYLOAD
    ) -> None:
        self.broker = broker or MemoryBroker()
        self.max_payload: Final = max_payload
        self.is_private: Final = True
        self.server_address: Final[tuple[str, int] | None] = None
        self._mine: list[_Subscription] = []
        self._mux = RequestMux(self.new_inbox())
        self._inbox: _Subscription | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open; see `Transport`."""
        return self._loop is not None and not self._closed.is_set()

    async def connect(self) -> None:
        """Open the connection; see `Transport`."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._check_open()

    async def close(self) -> None:
        """Fail pending requests and close the connection for good; see `Transport`."""
        if self._closed.is_set():
            return
        if self._loop is not None:
            await self.fence()
        self._closed.set()
        for subscription in self._mine:
            self.broker.remove(subscription)
        self._mux.fail(
            lambda subject: connection_error(
                ConnectionLostError, f"the connection was closed while {subject} ran"
            )
        )
        self._mux.close()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed for good; see `Transport`."""
        if not self._closed.is_set():
            if self._loop is not None:
                self._check_open()
            await self._closed.wait()

    async def wait_disconnected(self) -> None:
        """Wait until the connection is closed: it ends in no other way; see `Transport`."""
        await self.wait_closed()

    def new_inbox(self) -> str:
        """Return a unique subject for replies; see `Transport`."""
        return f"_INBOX.{STAMPER.new_id()}"

    def publish(self, subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> None:
        """Publish a message; see `Transport`."""
        self._check_open()
        check_message(subject, payload, headers, self.max_payload)
        if reply:
            check_reply(reply)
        line = f"HPUB {subject} {reply} {len(headers)} {len(payload)}\r\n"
        check_control_line(encode_subject(line), subject, DEFAULT_MAX_CONTROL_LINE)
        block = b"NATS/1.0\r\n" + headers + b"\r\n" if headers else b""
        self.broker.deliver(subject, reply, payload, block)

    async def request(  # noqa: PLR0913 - the parts of a call
        self,
        subject: str,
        payload: bytes,
        headers: bytes,
        deadline: float,
        accepts: Accepts | None = None,
        *,
        cancel_subject: str = "",
        message_id: str = "",
    ) -> Delivery:
        """Send a request and wait for the first accepted reply; see `Transport`."""
        await self.connect()
        if self._inbox is None:
            self._inbox = self.subscribe(self._mux.wildcard, self._mux.on_delivery)
        reply, future = self._mux.open(subject, deadline, accepts)
        try:
            self.publish(subject, payload, headers, reply)
            return await future
        except (asyncio.CancelledError, DeadlineExceededError):
            send_cancellation(self, cancel_subject, reply, message_id, payload)
            raise
        finally:
            self._mux.discard(reply)

    async def request_many(  # noqa: PLR0913 - the parts of a request
        self,
        subject: str,
        payload: bytes,
        headers: bytes = b"",
        *,
        timeout: float,
        quiet: float,
        accepts: Accepts | None = None,
    ) -> list[Delivery]:
        """Send a request and collect the replies; see `Transport`."""
        await self.connect()
        with self._mux.gathering(subject) as arrivals:
            inbox = self.subscribe(self.new_inbox(), arrivals.put_nowait)
            try:
                self.publish(subject, payload, headers, inbox.subject)
                return await gather_replies(arrivals, timeout=timeout, quiet=quiet, accepts=accepts)
            finally:
                await self.unsubscribe([inbox])

    def subscribe(
        self, subject: str, on_delivery: OnDelivery, queue_group: str = ""
    ) -> _Subscription:
        """Subscribe to a subject; see `Transport`."""
        self._check_open()
        check_subscription(subject, queue_group, DEFAULT_MAX_CONTROL_LINE)
        loop = asyncio.get_running_loop()
        subscription = _Subscription(subject, queue_group, on_delivery, subject.split("."), loop)
        self._mine.append(subscription)
        self.broker.add(subscription)
        return subscription

    async def fence(self) -> None:
        """Wait until all earlier messages are delivered; see `Transport`."""
        self._check_open()
        await asyncio.sleep(0)  # deliveries are callbacks that were scheduled before

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Unsubscribe and wait for a fence; see `Transport`."""
        is_open = self._loop is not None and not self._closed.is_set()
        if is_open:
            self._check_open()
        for subscription in subscriptions:
            if isinstance(subscription, _Subscription):
                self.broker.remove(subscription)
        if is_open:
            await self.fence()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise connection_error(
                ConnectionClosedError, "the connection to NATS was closed: nothing was sent"
            )
        if self._loop is None:
            raise connection_error(ConnectionLostError, "the connection to NATS is not open yet")
        check_event_loop(self._loop)

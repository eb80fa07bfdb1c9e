"""The interface of connections to NATS.

`NatsTransport` connects to a server, `testing.MemoryTransport` connects clients and services within
one process. The same tests run for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from weenats.protocol.headers import NO_HEADERS, Headers

__all__ = [
    "DENIED",
    "MAX_REPLIES",
    "MAX_REPLY_BYTES",
    "NO_RESPONDERS",
    "Accepts",
    "Delivery",
    "OnDelivery",
    "Subscription",
    "Transport",
    "check_transport",
]
NO_RESPONDERS: Final = "503"
"""The inline status of the NATS server for a subject without responders."""
DENIED: Final = "403"
"""The inline status of a message that a connection delivers when the server denies a subject."""

_INLINE_STATUS: Final = b"NATS/1.0 "


class Delivery:
    """A received message.

    Args:
        subject: the subject.
        reply: the reply subject, "" for none.
        payload: the payload.
        block: the header block as on the wire.

    Attributes:
        block: the header block as on the wire.
    """

    __slots__ = ("_headers", "block", "payload", "reply", "subject")

    def __init__(self, subject: str, reply: str, payload: bytes, block: bytes = b"") -> None:
        self.subject = subject
        self.reply = reply
        self.payload = payload
        self.block = block
        self._headers: Headers | None = None

    @property
    def content(self) -> tuple[str, str, bytes, bytes]:
        """Subject, reply subject, payload and header block, to compare messages."""
        return self.subject, self.reply, self.payload, self.block

    @property
    def size(self) -> int:
        """The size of headers and payload in bytes."""
        return len(self.block) + len(self.payload)

    @property
    def headers(self) -> Headers:
        """The headers, which are parsed on demand."""
        if self._headers is None:
            self._headers = Headers(self.block) if self.block else NO_HEADERS
        return self._headers

    @property
    def status(self) -> str:
        """The inline status of a message of the NATS server, "" for other messages."""
        if not self.block.startswith(_INLINE_STATUS):
            return ""
        return self.block.removeprefix(_INLINE_STATUS)[:3].decode("ascii", "replace")


MAX_REPLIES: Final = 10_000
"""How many replies `request_many` gathers at most."""
MAX_REPLY_BYTES: Final = 32 * 1024 * 1024
"""How many bytes `request_many` gathers, before the last reply."""
OnDelivery = Callable[[Delivery], None]
"""Called with a message; it must neither block nor raise."""
Accepts = Callable[[Delivery], bool]
"""Returns whether a message is the expected reply."""


class Subscription(Protocol):
    """A subscription to a subject."""

    @property
    def subject(self) -> str:
        """The subject."""
        ...

    @property
    def denied(self) -> bool:
        """Whether the server denies it now, so that no messages arrive."""
        ...


class Transport(Protocol):
    """A connection to NATS, opened by the first use or by `connect`."""

    @property
    def max_payload(self) -> int:
        """The maximum size of headers and payload of a message together, in bytes."""
        ...

    @property
    def is_private(self) -> bool:
        """Whether messages are safe from eavesdroppers: TLS, or a server on this machine.

        True before the first connection.
        """
        ...

    @property
    def server_address(self) -> tuple[str, int] | None:
        """Host and port of the server, None before the first connection."""
        ...

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open now, not being opened for the first time or again."""
        ...

    async def connect(self) -> None:
        """Open the connection, or raise within a bounded time.

        Raises:
            UnavailableError: no server can be reached, or the connection was closed.
            WrongEventLoopError: the connection belongs to another event loop.
            PermissionDeniedError: the server refused the credentials of the connection.
            InvalidArgumentError: a file of credentials cannot be used.
        """
        ...

    async def close(self) -> None:
        """Send what is buffered, fail pending requests, and close the connection for good."""
        ...

    async def wait_closed(self) -> None:
        """Wait until the connection is closed for good, by `close` or for another reason."""
        ...

    async def wait_disconnected(self) -> None:
        """Wait until the present connection ends: it breaks, moves to another server or is closed.

        What a server remembered for it, such as requests for messages of a stream, is gone then.
        """
        ...

    def new_inbox(self) -> str:
        """Return a unique subject for replies, which this connection may subscribe to."""
        ...

    def publish(self, subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> None:
        """Send a message; while reconnecting it is buffered.

        If the server denies the subject, the subscription of the reply subject gets a message with
        the status `DENIED`.

        Args:
            subject: the subject.
            payload: the payload.
            headers: encoded header lines.
            reply: the reply subject, "" for none.

        Raises:
            InvalidArgumentError: the subject, the reply subject or the headers are malformed, or
                the subjects are too long.
            MessageTooLargeError: it is larger than `max_payload`.
            ResourceExhaustedError: the buffer is full.
            ConnectionClosedError: the connection was closed before.
        """
        ...

    async def request(  # noqa: PLR0913 - the parts of a request
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
        """Send a request and wait for its reply.

        Args:
            subject: the subject.
            payload: the payload.
            headers: encoded header lines.
            deadline: when to stop waiting, on the monotonic clock.
            accepts: returns whether a message is the reply; by default every message is.
            cancel_subject: the subject for a cancellation message when the caller is cancelled
                or the deadline passes, see `cancellation`; "" for none.
            message_id: the id of the message, for the cancellation message.

        Returns:
            The first accepted reply.

        Raises:
            NoRespondersError: there are no responders on the subject.
            ConnectionLostError: the connection broke, or was closed, while waiting.
            ConnectionClosedError: it was closed before; nothing was sent.
            UnavailableError: there was no connection until the deadline.
            PermissionDeniedError: the server denies the subject, or the inbox for the reply.
            InvalidArgumentError: the subject or the headers are malformed, or the subject is too
                long.
            MessageTooLargeError: it is larger than `max_payload`.
            DeadlineExceededError: no reply arrived before the deadline.
        """
        ...

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
        """Send a request and gather replies, up to `MAX_REPLIES` or `MAX_REPLY_BYTES`.

        Args:
            subject: the subject.
            payload: the payload.
            headers: encoded header lines.
            timeout: the time limit in seconds.
            quiet: the pause after a reply that ends it earlier, in seconds.
            accepts: returns whether a message is a reply; by default every message is.

        Returns:
            The replies; immediately [] when there are no responders.

        Raises:
            UnavailableError: there was no connection within the time limit.
            ConnectionLostError: it broke or was closed meanwhile.
            ConnectionClosedError: it was closed before; nothing was sent.
            DeadlineExceededError: the server does not answer in time.
            PermissionDeniedError: the server denies the subject, or the inbox for the replies.
            InvalidArgumentError: the subject or the headers are malformed, or the subject is too
                long.
            MessageTooLargeError: it is larger than `max_payload`.
        """
        ...

    def subscribe(
        self, subject: str, on_delivery: OnDelivery, queue_group: str = ""
    ) -> Subscription:
        """Subscribe to a subject; after `fence` the server has the subscription.

        Args:
            subject: the subject, which may have wildcards.
            on_delivery: called with each message.
            queue_group: share messages with the other members of this queue group.

        Raises:
            InvalidArgumentError: the subject or the queue group is malformed or too long.
            ConnectionLostError: there is no connection yet.
            ConnectionClosedError: the connection was closed.
        """
        ...

    async def fence(self) -> None:
        """Wait until the server has processed everything that was sent before.

        Messages that the server sent until then have been delivered.

        Raises:
            PermissionDeniedError: the server denied a subscription.
            ResourceExhaustedError: the server refused a subscription because there are too many.
            ConnectionLostError: the connection broke meanwhile, or the server does not answer
                within `connect_timeout`.
            ConnectionClosedError: the connection was closed before.
        """
        ...

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """End subscriptions; messages that the server sent until then have been delivered.

        Args:
            subscriptions: the subscriptions.
        """
        ...


def check_transport(transport: object) -> None:
    """Check that an argument is a transport.

    Args:
        transport: the argument.

    Raises:
        TypeError: it is something else, such as a URL.
    """
    if not hasattr(transport, "request_many"):
        raise TypeError(
            "transport must be a transport, such as NatsTransport(url) or that of a client, not"
            f" {type(transport).__name__}"
        )

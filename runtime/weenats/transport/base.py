"""The seam to NATS: what the runtime needs of a connection, and nothing else.

`NatsTransport` speaks to a real server, `testing.MemoryTransport` within one process; one suite of
tests holds them equal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from weenats.errors import MessageTooLargeError, ServiceError
from weenats.protocol.headers import NO_HEADERS, Headers

NO_RESPONDERS: Final = "503"
"""The inline status with which the NATS server says that nobody listens."""

_STATUS_START: Final = len(b"NATS/1.0 ")
_STATUS_END: Final = _STATUS_START + 3
_FRAMING: Final = len(b"NATS/1.0\r\n\r\n")


class Delivery:
    """A message as it arrived; headers are read when somebody asks for them."""

    __slots__ = ("_block", "_headers", "payload", "reply", "subject")

    def __init__(self, subject: str, reply: str, payload: bytes, block: bytes = b"") -> None:
        self.subject = subject
        self.reply = reply
        self.payload = payload
        self._block = block
        self._headers: Headers | None = None

    @property
    def content(self) -> tuple[str, str, bytes, bytes]:
        """All that came, byte by byte: subject, reply, payload, headers."""
        return self.subject, self.reply, self.payload, self._block

    @property
    def headers(self) -> Headers:
        """The headers of the message."""
        if self._headers is None:
            self._headers = Headers(self._block) if self._block else NO_HEADERS
        return self._headers

    @property
    def timeout(self) -> str | None:
        """The text of the `Wee-Timeout` header."""
        return Headers.timeout_of(self._block)

    @property
    def status(self) -> str:
        """The inline status of the NATS server, "" for messages that somebody sent."""
        if not self._block.startswith(b"NATS/1.0 "):
            return ""
        return self._block[_STATUS_START:_STATUS_END].decode("ascii", "replace")


OnDelivery = Callable[[Delivery], None]
"""Takes a message at once: it must neither block nor raise."""
Accepts = Callable[[Delivery], bool]
"""Says whether a message is the reply that was asked for."""


class Subscription(Protocol):
    """Interest in a subject."""

    @property
    def subject(self) -> str:
        """What it listens on."""
        ...


class Transport(Protocol):
    """A connection to NATS, opened by the first use or by `connect`."""

    @property
    def max_payload(self) -> int:
        """Bytes that headers and payload of a message may have together."""
        ...

    @property
    def is_private(self) -> bool:
        """Say whether nobody on the way reads what is sent: TLS, or a server on this machine.

        True while there was no connection yet.
        """
        ...

    @property
    def server_address(self) -> tuple[str, int] | None:
        """Host and port of the server it is connected to, None while there was no connection."""
        ...

    async def connect(self) -> None:
        """Be connected, or raise in bounded time.

        Raises:
            UnavailableError: no server can be reached, or the connection was closed.
            PermissionDeniedError: the server refused the credentials of the connection.
            InvalidArgumentError: a file of credentials cannot be used.
        """
        ...

    async def close(self) -> None:
        """Send what is pending, fail what waits, and end the connection for good."""
        ...

    async def wait_closed(self) -> None:
        """Wait until the connection has ended for good, because of `close` or by itself."""
        ...

    def publish(self, subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> None:
        """Hand a message to the connection.

        `headers` are encoded header lines. While reconnecting it is kept.

        Raises:
            MessageTooLargeError: it is larger than `max_payload`.
            ResourceExhaustedError: what is kept is full.
            ConnectionLostError: the connection was closed.
        """
        ...

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
        """Send a message and wait for the first reply that is accepted.

        `deadline` is a point on the monotonic clock. A caller that is cancelled, or whose deadline
        passes, after the message was handed over is told of on `cancel_subject`: see `give_up`.

        Raises:
            NoRespondersError: nobody listens on the subject.
            ConnectionLostError: the connection broke while waiting, or was closed.
            UnavailableError: there was no connection until the deadline.
            PermissionDeniedError: the server refuses the subject, or the inbox that takes the
                reply.
            MessageTooLargeError: it is larger than `max_payload`.
            DeadlineExceededError: no reply came in time.
        """
        ...

    async def request_many(
        self, subject: str, payload: bytes, headers: bytes = b"", *, timeout: float, quiet: float
    ) -> list[Delivery]:
        """Send a message and gather replies until none came for `quiet` seconds.

        It takes `timeout` seconds at most, and is [] at once when nobody listens.

        Raises:
            ConnectionLostError: there is no connection, or it broke or was closed meanwhile.
            PermissionDeniedError: the server refuses the subject, or the inbox that takes the
                replies.
            MessageTooLargeError: it is larger than `max_payload`.
        """
        ...

    def subscribe(
        self, subject: str, on_delivery: OnDelivery, queue_group: str = ""
    ) -> Subscription:
        """Register interest; `fence` tells when the server has it."""
        ...

    async def fence(self) -> None:
        """Wait until the server has taken all that was sent before.

        What the server sent until then has been handed over.

        Raises:
            PermissionDeniedError: the server refused a subscription of this transport.
            ConnectionLostError: the connection broke meanwhile.
        """
        ...

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """End interest behind a fence.

        What the server delivered until then has been handed over.
        """
        ...


def give_up(transport: Transport, cancel_subject: str, reply: str) -> None:
    """Tell a service that nobody waits for this reply any more: an empty message that names it.

    Without a subject nobody is told; that it cannot be sent is no matter.
    """
    if cancel_subject:
        with contextlib.suppress(ServiceError):
            transport.publish(cancel_subject, b"", reply=reply)


def check_size(subject: str, payload: bytes, headers: bytes, limit: int) -> None:
    """Refuse a message before it is sent: over its limit the server would end the connection.

    Raises:
        MessageTooLargeError: names the sizes.
    """
    size = len(payload) + (len(headers) + _FRAMING if headers else 0)
    if size > limit:
        raise MessageTooLargeError(
            f"the message to {subject} has {size} bytes, the NATS server carries at most {limit}"
        )

"""A connection to NATS: sending, subscriptions, fences and events.

nats-py connects, but messages take another way, because its subscriptions handle one message at a
time, its flush is not a barrier and its drain loses requests. Here a message is handed over as soon
as it is parsed, frames are written once per iteration of the event loop, and a fence is a PING
behind everything that was written before.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from nats.aio.subscription import Subscription as NatsSubscription
from nats.nuid import NUID

from weenats._internal.hosts import is_loopback
from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task, start_task
from weenats.errors import ConnectionLostError, ResourceExhaustedError, connection_error
from weenats.protocol.headers import HEADER_FRAMING
from weenats.protocol.subjects import decode_subject
from weenats.transport.base import Delivery, OnDelivery
from weenats.transport.message_checks import check_control_line, check_message, check_subscription
from weenats.transport.nats_py.client import SteadyClient, end_task, socket_of
from weenats.transport.nats_py.errors import refuses_credentials, text_of
from weenats.transport.nats_py.parser import MessageParser
from weenats.transport.nats_py.sockets import discard_socket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from nats.aio.transport import Transport as NatsSocket

    from weenats.transport.credentials import Identity
    from weenats.transport.servers import ServerUrl

__all__ = ["ConnectionEvents", "Interest", "NatsConnection", "new_inbox"]
_LOG: Final = LimitedLogger("weenats.transport")
_PING: Final = b"PING\r\n"
_FENCE_TIMEOUT: Final = 10.0
_SILENT_TIMEOUT: Final = 0.5
"""The same while the server has not answered since a fence gave up."""
_CLOSE_TIMEOUT: Final = 2.0
_MAX_KEPT_BYTES: Final = 2 * 1024 * 1024
_MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024
_SOCKET_BYTES: Final = 256 * 1024
_TOO_MANY: Final = (
    "the NATS server refused a subscription: its account, or the connection, has the maximum number"
)
_BUFFER_FULL: Final = (
    "the buffer for messages to NATS is full: the server is unreachable or too slow"
)
_REFUSAL: Final = "the server refuses the credentials of the connection"


class ConnectionEvents(NamedTuple):
    """Callbacks of a connection, which is their first argument."""

    denied: Callable[[NatsConnection, str, str], None]
    """The server denied a subject; arguments are "publish" or "subscription", and the subject."""
    disconnected: Callable[[NatsConnection], Awaitable[None]]
    reconnected: Callable[[NatsConnection], Awaitable[None]]
    closed: Callable[[NatsConnection], Awaitable[None]]
    lame_duck: Callable[[NatsConnection], Awaitable[None]]
    """The server entered lame duck mode: it is about to shut down."""


@dataclass(slots=True, eq=False, repr=False)
class Interest:
    """A subscription, which can move from one connection to another.

    Attributes:
        connection: the connection that has it.
        owner: what must live as long as the subscription.
        sid: its number on the connection.
        denied: whether the server denied it, when it decided last.
        denials: how often the server denied it.
        asked: the subject of the last message whose replies it gets, "" for none.
    """

    connection: NatsConnection
    subject: str
    queue_group: str
    on_delivery: OnDelivery
    owner: object = None
    sid: int = 0
    denied: bool = False
    denials: int = 0
    asked: str = ""

    def leave(self) -> None:
        """Unsubscribe; messages that are on their way are handed over until `drop`."""
        self.connection.unregister(self)

    def drop(self) -> None:
        """Unsubscribe, and hand over no more messages."""
        self.connection.forget(self)


class NatsConnection(SteadyClient):
    """nats-py's client with other sending, dispatching and fences.

    Args:
        events: the callbacks.
        max_control_line: the maximum length of a protocol line, see `check_control_line`.
        identify: see SteadyClient.
        max_payload: see SteadyClient.
    """

    def __init__(
        self,
        events: ConnectionEvents,
        max_control_line: int,
        identify: Callable[[], Identity] | None = None,
        max_payload: int | None = None,
    ) -> None:
        super().__init__(identify, max_payload)
        self._events = events
        self._max_control_line = max_control_line
        self._interests: dict[int, Interest] = {}
        self._ps = MessageParser(self, self.dispatch, self._on_denied)
        self._loop = asyncio.get_running_loop()
        self._write_scheduled = False
        self._draining: asyncio.Task[None] | None = None
        self._pongs: list[asyncio.Future[bool]] = []
        self._is_silent = False
        self._is_lame_duck = False
        self._refusals = 0
        self._reported_refusals = 0

    @property
    def lacks_subscriptions(self) -> bool:
        """Whether the server has refused subscriptions because there are too many."""
        return self._refusals > 0

    @property
    def is_lame_duck(self) -> bool:
        """Whether the connected server is in lame duck mode."""
        return self._is_lame_duck and self.is_connected

    @property
    def interests(self) -> list[Interest]:
        """The subscriptions."""
        return [self._interests[sid] for sid in self._subs if sid in self._interests]

    @property
    def is_private(self) -> bool:
        """Whether messages are private: TLS, or a server on this machine."""
        url = self.connected_url
        return url is None or self.uses_tls or is_loopback(url.hostname or "")

    @property
    def server_address(self) -> tuple[str, int] | None:
        """Host and port of the server, None while there is no connection."""
        url = cast("ServerUrl | None", self.connected_url)
        return None if url is None else url.address

    @property
    def failure(self) -> str:
        """Why there is no connection, as far as it is known."""
        if self._err is None:
            return "no answer"
        return _REFUSAL if refuses_credentials(self._err) else text_of(self._err)

    def send(self, subject: str, reply: str, payload: bytes, headers: bytes) -> None:
        """Write a message after this iteration of the loop; buffer it while reconnecting.

        Args:
            subject: the subject.
            reply: the reply subject, which was checked or is of the own inbox; "" for none.
            payload: the payload.
            headers: encoded header lines.

        Raises:
            InvalidArgumentError: the subject or the header lines are malformed, or the subjects are
                too long.
            MessageTooLargeError: the message is too large for the server.
            ResourceExhaustedError: the buffer is full, because there is no connection or the
                server is too slow.
        """
        check_message(subject, payload, headers, self._max_payload)
        unsent = self._pending_data_size
        if unsent > _MAX_KEPT_BYTES and (unsent > _MAX_UNSENT_BYTES or not self.is_connected):
            raise connection_error(ResourceExhaustedError, _BUFFER_FULL)
        if headers:
            size = len(headers) + HEADER_FRAMING
            head = f"HPUB {subject} {reply} {size} {size + len(payload)}\r\nNATS/1.0\r\n"
            line = head.encode("utf-8", "surrogateescape")
            frame = b"".join((line, headers, b"\r\n", payload, b"\r\n"))
        else:
            head = f"PUB {subject} {reply} {len(payload)}\r\n"
            line = head.encode("utf-8", "surrogateescape")
            frame = b"".join((line, payload, b"\r\n"))  # quicker than formatting
        if len(line) > self._max_control_line:
            check_control_line(line, subject, self._max_control_line)
        # As `_append`, without a call: all messages take this way.
        self._pending.append(frame)
        self._pending_data_size = unsent + len(frame)
        if not self._write_scheduled:
            self._write_scheduled = True
            self._loop.call_soon(self._write)

    def register(self, subject: str, queue_group: str, on_delivery: OnDelivery) -> Interest:
        """Subscribe.

        Args:
            subject: the subject, which may have wildcards.
            queue_group: the queue group, "" for none.
            on_delivery: called with each message.

        Raises:
            InvalidArgumentError: the subject or the queue group is malformed or too long.
        """
        check_subscription(subject, queue_group, self._max_control_line)
        interest = Interest(self, subject, queue_group, on_delivery)
        self.adopt(interest)
        return interest

    def adopt(self, interest: Interest) -> None:
        """Subscribe with an interest, which may be that of another connection.

        Args:
            interest: the subscription.
        """
        sid = self._sid = self._sid + 1
        # nats-py repeats what is in `_subs` after a reconnect.
        self._subs[sid] = NatsSubscription(self, sid, interest.subject, queue=interest.queue_group)
        interest.connection, interest.sid, interest.denied = self, sid, False
        self._interests[sid] = interest
        self._append_subscription(interest)

    def _append_subscription(self, interest: Interest) -> None:
        self._append(f"SUB {interest.subject} {interest.queue_group} {interest.sid}\r\n".encode())

    def subscribe_again(self) -> None:
        """Repeat all subscriptions; those that the server has are left alone."""
        self._refusals = self._reported_refusals = 0
        for each in self.interests:
            self._append_subscription(each)

    async def renew(self, denied: Sequence[Interest]) -> None:
        """Repeat subscriptions that the server has denied, and wait until it has decided again.

        Args:
            denied: the subscriptions.

        Raises:
            ConnectionLostError: there is no connection, or it broke meanwhile.
            ResourceExhaustedError: see `fence`.
        """
        before = [each.denials for each in denied]
        for each in denied:
            self._append_subscription(each)
        await self.fence()
        for each, denials in zip(denied, before, strict=True):
            each.denied = each.denials > denials

    def substitute(self, interest: Interest, on_delivery: OnDelivery) -> Interest:
        """Hand the messages of a subscription to another callback; the subscription may move away.

        Args:
            interest: the subscription.
            on_delivery: called with each message.

        Returns:
            A subscription with the same number, which replaces the other one here.
        """
        other = Interest(self, interest.subject, interest.queue_group, on_delivery)
        other.sid = interest.sid
        self._interests[other.sid] = other
        return other

    def restore(self, interest: Interest) -> None:
        """Undo `substitute`.

        Args:
            interest: the subscription that was replaced.
        """
        substitute = self._interests.get(interest.sid)
        if substitute is not None:
            interest.denied = substitute.denied
            self._interests[interest.sid] = interest

    def unregister(self, interest: Interest) -> None:
        """Unsubscribe; messages that are on their way are handed over until `forget`.

        Args:
            interest: the subscription.
        """
        if self._subs.pop(interest.sid, None) is not None and not self.is_closed:
            self._append(f"UNSUB {interest.sid}\r\n".encode())

    def forget(self, interest: Interest) -> None:
        """Unsubscribe, and hand over no more messages.

        Args:
            interest: the subscription.
        """
        self.unregister(interest)
        self._interests.pop(interest.sid, None)

    async def close(self, timeout: float = _CLOSE_TIMEOUT) -> None:
        """Close the connection; an unreachable server is not an error.

        Args:
            timeout: how long the server may take to receive the buffer, in seconds, at most 2.
        """
        dead = self._loop.call_later(min(max(timeout, 0), _CLOSE_TIMEOUT), self._abort)
        try:
            await self._end_reconnecting()  # nats-py would wait for its pause
            await super().close()
        except (OSError, asyncio.CancelledError) as error:
            # nats-py leaves the socket open when the rest of the buffer cannot be sent.
            if self._transport is not None:
                await discard_socket(self._transport)
            if not isinstance(error, OSError):
                raise
        finally:
            dead.cancel()
            await self._end_reconnecting()  # else it may never end
            self._fail_pings()

    async def _end_reconnecting(self) -> None:
        reconnecting = self._reconnection_task
        if reconnecting is not None and reconnecting is not asyncio.current_task():
            await end_task(reconnecting)

    async def fence(self, timeout: float = _FENCE_TIMEOUT) -> None:
        """Wait until the server has processed everything that was sent before.

        Messages that the server sent until then have been handed over.

        Args:
            timeout: how long the server may take, in seconds.

        Raises:
            ConnectionLostError: there is no connection, it broke meanwhile, or the server does not
                answer in time.
            ResourceExhaustedError: the server refused a subscription because there are too many.
        """
        if not self.is_connected:
            raise connection_error(ConnectionLostError, "not connected to NATS")
        refusals = self._reported_refusals
        pong: asyncio.Future[bool] = self._loop.create_future()
        self._hand_over(_PING)
        self._pongs.append(pong)
        reading: asyncio.Task[None] | None = self._reading_task  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        # When a program cancels all its tasks, nothing reads the PONG.
        waiting: set[asyncio.Future[Any]] = {pong} if reading is None else {pong, reading}
        limit = min(timeout, _SILENT_TIMEOUT) if self._is_silent else timeout
        await asyncio.wait(waiting, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        has_ended = reading is not None and reading.done()
        if not pong.done() and not has_ended:
            self._is_silent = True
            raise connection_error(ConnectionLostError, "the NATS server does not answer")
        if not pong.done() or not pong.result():
            raise connection_error(ConnectionLostError, "the connection to NATS broke")
        if self._refusals > refusals:
            self._reported_refusals = self._refusals
            raise connection_error(ResourceExhaustedError, _TOO_MANY)

    def dispatch(
        self, sid: int, subject: bytes, reply: bytes, payload: bytes, block: bytes
    ) -> None:
        """Hand over a message, and log exceptions: they would end the read loop of nats-py.

        Args:
            sid: the number of the subscription.
            subject: the subject.
            reply: the reply subject, b"" for none.
            payload: the payload.
            block: the header block as on the wire.
        """
        interest = self._interests.get(sid)
        if interest is None:
            return
        try:
            try:
                delivery = Delivery(subject.decode(), reply.decode(), payload, block)
            except UnicodeDecodeError:  # rare: `decode_subject` does it for any bytes
                names = decode_subject(subject), decode_subject(reply)
                delivery = Delivery(*names, payload, block)
            interest.on_delivery(delivery)
        except BaseException as error:  # else the read loop ends
            if ends_task(error):
                raise
            _LOG.exception("unexpected error while handing over a message on %s", interest.subject)

    def _on_denied(self, what: str, subject: str) -> None:
        for interest in self.interests:
            if what == "subscription" and interest.subject == subject:
                interest.denied = True
                interest.denials += 1
        self._events.denied(self, what, subject)

    def _fail_pings(self) -> None:
        self._is_silent = False
        pongs, self._pongs = self._pongs, []
        for pong in pongs:
            if not pong.done():
                pong.set_result(False)

    def _append(self, frame: bytes) -> None:
        self._pending.append(frame)
        self._pending_data_size += len(frame)
        if not self._write_scheduled:
            self._write_scheduled = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._write_scheduled = False
        if self._pending and self._draining is None and self._status == self.CONNECTED:
            self._hand_over()

    def _hand_over(self, last: bytes = b"") -> None:
        """Write the buffer to the socket; when that is full, further frames stay in the buffer."""
        if self._transport is None:
            return
        self._transport.write(b"".join((*self._pending, last)))
        self._pending.clear()
        self._pending_data_size = 0
        if self._draining is None and _is_full(self._transport):
            self._draining = start_task(self._drain(self._transport))

    async def _drain(self, transport: NatsSocket) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            await transport.drain()  # type: ignore[no-untyped-call]  # nats-py has no type for it
        self._draining = None
        self._write()

    async def _flush_pending(self, force_flush: bool = False) -> object:  # noqa: ARG002, FBT001, FBT002 - nats-py's
        # nats-py queues a request to its flusher. Whoever is cancelled while the queue is full goes
        # on there: pings would never end.
        self._empty_buffer()
        flushed: asyncio.Future[None] = self._loop.create_future()
        flushed.set_result(None)
        return flushed

    async def _close(self, status: int, do_cbs: bool = True) -> None:  # noqa: FBT001, FBT002 - nats-py's
        self._empty_buffer()
        if not self.is_connected:  # the next socket does not accept commands yet
            self._pending.clear()
            self._pending_data_size = 0
        await super()._close(status, do_cbs)

    def _empty_buffer(self) -> None:
        # nats-py's `writelines` fails on a lost socket, from Python 3.12 on with a TypeError that
        # ends its flusher and interrupts its close.
        if self.is_connected:
            self._hand_over()

    async def _process_connect_init(self) -> None:
        await super()._process_connect_init()
        self._drop_oversized()

    def _drop_oversized(self) -> None:
        """Drop buffered messages that the server, which may be another one, does not accept."""
        limit = self._max_payload
        for frame in [each for each in self._pending if len(each) > limit]:
            command, subject, *_, size = frame[: frame.index(b"\r\n")].split(b" ")
            if command in {b"PUB", b"HPUB"} and int(size) > limit:
                self._pending.remove(frame)
                self._pending_data_size -= len(frame)
                _LOG.error(
                    "a message to %s was dropped: it has %d bytes, the NATS server now carries at"
                    " most %d",
                    subject.decode("utf-8", "backslashreplace"),
                    int(size),
                    limit,
                )

    async def _process_pong(self) -> None:
        # nats-py sets the result of a cancelled future, which ends its read loop.
        self._pings_outstanding = 0
        self._pongs_received += 1
        self._is_silent = False
        if self._pongs:
            future = self._pongs.pop(0)
            if not future.done():
                future.set_result(True)

    async def _on_too_many_subscriptions(self) -> None:
        if not self._refusals:
            _LOG.error("%s", _TOO_MANY)
        self._refusals += 1

    async def on_disconnected(self) -> None:
        """Report that the connection broke."""
        self._is_lame_duck = False
        self._refusals = self._reported_refusals = 0
        for interest in self._interests.values():
            interest.denied = False  # another server may allow it
        self._fail_pings()
        await self._events.disconnected(self)

    async def on_reconnected(self) -> None:
        """Report that the connection is open again."""
        self._reported_refusals = self._refusals  # logged; later fences are about other ones
        await self._events.reconnected(self)

    async def on_lame_duck(self) -> None:
        """Report that the server entered lame duck mode."""
        self._is_lame_duck = True
        await self._events.lame_duck(self)


def new_inbox(prefix: str) -> str:
    """Return a unique subject.

    Args:
        prefix: the beginning of the subject.
    """
    return f"{prefix}.{NUID().next().decode()}"


def _is_full(transport: NatsSocket) -> bool:
    """Return whether a socket has to be drained before more is written; other transports always."""
    socket = socket_of(transport)
    return socket is None or socket.get_write_buffer_size() > _SOCKET_BYTES

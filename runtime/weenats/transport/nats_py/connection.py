"""A connection to NATS: sending, listening, fencing, and what it tells of itself.

Messages go their own way, because nats-py's subscriptions serve one message at a time, its flush is
no barrier and its drain loses requests: a delivery is handed over as it is parsed, frames are
written once a turn of the loop, and a fence is a PING that is written behind what it fences.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from nats.aio.client import Client
from nats.aio.subscription import Subscription as NatsSubscription
from nats.nuid import NUID

from weenats._internal.hosts import is_loopback
from weenats.errors import ConnectionLostError
from weenats.transport.base import Delivery, OnDelivery
from weenats.transport.nats_py.client import SteadyClient, end_task, socket_of
from weenats.transport.nats_py.errors import refuses_credentials
from weenats.transport.nats_py.parser import MessageParser

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nats.aio.transport import Transport as NatsSocket

    from weenats.transport.credentials import Identity

_LOG: Final = logging.getLogger("weenats.transport")
_PING: Final = b"PING\r\n"
_PORT: Final = 4222
_FENCE_TIMEOUT: Final = 10.0
_CLOSE_TIMEOUT: Final = 2.0
_MAX_KEPT_BYTES: Final = 2 * 1024 * 1024
_MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024
_SOCKET_BYTES: Final = 256 * 1024
_REFUSAL: Final = "the server refuses the credentials of the connection"
_HEADER_FRAMING: Final = len(b"NATS/1.0\r\n\r\n")


@dataclass(frozen=True, slots=True)
class ConnectionEvents:
    """What a connection tells of itself, which comes first."""

    refused: Callable[[NatsConnection, str, str], None]
    """A "publish" or "subscription" was refused, and to which subject."""
    disconnected: Callable[[NatsConnection], Awaitable[None]]
    reconnected: Callable[[NatsConnection], Awaitable[None]]
    closed: Callable[[NatsConnection], Awaitable[None]]
    asked_to_leave: Callable[[NatsConnection], Awaitable[None]]
    """The server is about to go: it is in lame duck mode."""


class Interest:
    """A subscription of a connection."""

    __slots__ = ("on_delivery", "queue_group", "sid", "subject")

    def __init__(self, subject: str, queue_group: str, on_delivery: OnDelivery) -> None:
        self.subject = subject
        self.queue_group = queue_group
        self.on_delivery = on_delivery
        self.sid = 0


class NatsConnection(SteadyClient):
    """nats-py's client with its own way of sending, dispatching and fencing."""

    def __init__(self, events: ConnectionEvents, identify: Callable[[], Identity] | None) -> None:
        super().__init__(identify)
        self._events = events
        self._interests: dict[int, Interest] = {}
        self._ps = MessageParser(self, self.dispatch, partial(events.refused, self))
        self._loop = asyncio.get_running_loop()
        self._write_scheduled = False
        self._draining: asyncio.Task[None] | None = None
        self._pongs: list[asyncio.Future[bool]] = []
        self._is_asked_to_leave = False

    @property
    def is_asked_to_leave(self) -> bool:
        """Say whether it is connected to a server that is about to go."""
        return self._is_asked_to_leave and self.is_connected

    @property
    def known_servers(self) -> list[str]:
        """The servers it was given, and those that they told of."""
        return [server.geturl() for server in self.servers]

    @property
    def interests(self) -> list[Interest]:
        """What it listens on."""
        return [self._interests[sid] for sid in self._subs if sid in self._interests]

    @property
    def is_full(self) -> bool:
        """Say whether what is kept has reached its limit: no connection, or a server too slow."""
        limit = _MAX_UNSENT_BYTES if self.is_connected else _MAX_KEPT_BYTES
        return self._pending_data_size > limit

    @property
    def is_private(self) -> bool:
        """Say whether nobody on the way reads what is sent: TLS, or a server on this machine."""
        url = self.connected_url
        if url is None or url.scheme == "wss":
            return True
        # nats-py speaks TLS when the server asks for it, and only then.
        if url.scheme != "ws" and self._server_info.get("tls_required"):
            return True
        return is_loopback(url.hostname or "")

    @property
    def server_address(self) -> tuple[str, int] | None:
        """Host and port of the server."""
        url = self.connected_url
        return None if url is None or url.hostname is None else (url.hostname, url.port or _PORT)

    @property
    def trouble(self) -> str:
        """Why there is no connection now, as far as it is known."""
        if self._err is None:
            return "no answer"
        return _REFUSAL if refuses_credentials(self._err) else str(self._err)

    def send(self, subject: str, reply: str, payload: bytes, headers: bytes) -> None:
        """Write a message at the end of this turn of the loop; while reconnecting it is kept."""
        if headers:
            size = len(headers) + _HEADER_FRAMING
            head = f"HPUB {subject} {reply} {size} {size + len(payload)}\r\nNATS/1.0\r\n".encode()
            self._append(b"%b%b\r\n%b\r\n" % (head, headers, payload))
        else:
            head = f"PUB {subject} {reply} {len(payload)}\r\n".encode()
            self._append(b"%b%b\r\n" % (head, payload))

    def listen(self, subject: str, queue_group: str, on_delivery: OnDelivery) -> Interest:
        """Subscribe. nats-py keeps the subscription to replay it after a reconnect.

        No task of its own serves it.
        """
        interest = Interest(subject, queue_group, on_delivery)
        self.adopt(interest)
        return interest

    def adopt(self, interest: Interest) -> None:
        """Listen for an interest, which may be that of another connection."""
        sid = self._sid = self._sid + 1
        subject, queue_group = interest.subject, interest.queue_group
        self._subs[sid] = NatsSubscription(self, sid, subject, queue=queue_group)
        interest.sid = sid
        self._interests[sid] = interest
        self._append(f"SUB {subject} {queue_group} {sid}\r\n".encode())

    def stand_in(self, interest: Interest, on_delivery: OnDelivery) -> Interest:
        """Let another one take what comes for an interest, which may go to another connection."""
        other = Interest(interest.subject, interest.queue_group, on_delivery)
        other.sid = interest.sid
        self._interests[other.sid] = other
        return other

    def stand_down(self, interest: Interest) -> None:
        """Let an interest that another one stood in for take again what comes."""
        self._interests[interest.sid] = interest

    def leave(self, interest: Interest) -> None:
        """Tell the server to deliver no more; what is under way still arrives until `forget`."""
        if self._subs.pop(interest.sid, None) is not None and not self.is_closed:
            self._append(f"UNSUB {interest.sid}\r\n".encode())

    def forget(self, interest: Interest) -> None:
        """Hand over no more."""
        self._interests.pop(interest.sid, None)

    def listens_on(self, subject: str) -> bool:
        """Say whether there is interest in a subject."""
        return any(interest.subject == subject for interest in self._interests.values())

    async def close(self) -> None:
        """End the connection; a server that is gone already is no failure."""
        dead = self._loop.call_later(_CLOSE_TIMEOUT, self._abort)
        try:
            await super().close()
        except (OSError, asyncio.CancelledError) as error:
            # nats-py stops half-way when what is left cannot be sent: the socket is still open.
            if self._transport is not None:
                self._transport.close()  # type: ignore[no-untyped-call]  # nats-py has no type for it
            if not isinstance(error, OSError):
                raise
        finally:
            dead.cancel()
            reconnecting = self._reconnection_task
            if reconnecting is not None and reconnecting is not asyncio.current_task():
                await end_task(reconnecting)  # else it may go on for ever
            self._answer_no_ping()

    def _ping(self) -> asyncio.Future[bool]:
        """Write all that is pending and a PING behind it.

        The future ends with its PONG, or with False when the connection breaks.
        """
        future: asyncio.Future[bool] = self._loop.create_future()
        self._hand_over(_PING)
        self._pongs.append(future)
        return future

    async def fence(self) -> None:
        """Wait until the server has taken all that was sent before, and sent all it had till then.

        Raises:
            ConnectionLostError: there is no connection, or it broke meanwhile.
        """
        if not self.is_connected:
            raise ConnectionLostError("there is no connection to NATS")
        pong = self._ping()
        reading: asyncio.Task[None] | None = self._reading_task  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        # A program that ends all its tasks at once reads no answer any more.
        waiting: set[asyncio.Future[Any]] = {pong} if reading is None else {pong, reading}
        await asyncio.wait(waiting, timeout=_FENCE_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if not pong.done():
            raise ConnectionLostError("the NATS server does not answer")
        if not pong.result():
            raise ConnectionLostError("the connection to NATS broke")

    def dispatch(
        self, sid: int, subject: bytes, reply: bytes, payload: bytes, block: bytes
    ) -> None:
        """Hand a message over.

        nats-py would end its read loop on any exception, and the connection would be deaf.
        """
        interest = self._interests.get(sid)
        if interest is None:
            return
        try:
            interest.on_delivery(Delivery(subject.decode(), reply.decode(), payload, block))
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - else the connection is deaf
            _LOG.exception("a delivery on %s could not be taken", interest.subject)

    def _answer_no_ping(self) -> None:
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
        if self._pending and self._draining is None and self._status == Client.CONNECTED:
            self._hand_over()

    def _hand_over(self, last: bytes = b"") -> None:
        """Give all that is pending to the socket; when that has enough, the rest waits here."""
        if self._transport is None:
            return
        self._transport.write(b"".join((*self._pending, last)))
        self._pending.clear()
        self._pending_data_size = 0
        if self._draining is None and _has_enough(self._transport):
            self._draining = self._loop.create_task(self._drain(self._transport))

    async def _drain(self, transport: NatsSocket) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            await transport.drain()  # type: ignore[no-untyped-call]  # nats-py has no type for it
        self._draining = None
        self._write()

    async def _flush_pending(self, force_flush: bool = False) -> object:  # noqa: FBT001, FBT002 - nats-py's
        self._leave_nothing_to_flush()
        return await super()._flush_pending(force_flush)

    async def _close(self, status: int, do_cbs: bool = True) -> None:  # noqa: FBT001, FBT002 - nats-py's
        self._leave_nothing_to_flush()
        if not self.is_connected:  # its next socket, if any, is none that takes commands yet
            self._pending.clear()
            self._pending_data_size = 0
        await super()._close(status, do_cbs)

    def _leave_nothing_to_flush(self) -> None:
        # nats-py's `writelines` fails on a socket that is lost, from Python 3.12 on with a
        # TypeError, of which its flusher dies and its close stops half-way.
        if self.is_connected:
            self._hand_over()

    async def _process_pong(self) -> None:
        # nats-py sets the result of a future even when it was cancelled, and its read loop ends.
        self._pings_outstanding = 0
        self._pongs_received += 1
        if self._pongs:
            future = self._pongs.pop(0)
            if not future.done():
                future.set_result(True)

    async def on_disconnected(self) -> None:
        """Tell that the connection broke."""
        self._is_asked_to_leave = False
        self._answer_no_ping()
        await self._events.disconnected(self)

    async def on_asked_to_leave(self) -> None:
        """Tell that the server is about to go."""
        self._is_asked_to_leave = True
        await self._events.asked_to_leave(self)


def new_inbox(prefix: str) -> str:
    """Return a subject that nobody else listens on."""
    return f"{prefix}.{NUID().next().decode()}"


def _has_enough(transport: NatsSocket) -> bool:
    """Say whether to wait before more is written; what is no plain socket sends by draining."""
    socket = socket_of(transport)
    return socket is None or socket.get_write_buffer_size() > _SOCKET_BYTES

"""nats-py, and what stands around it: the only file that imports nats.

nats-py connects, authenticates, encrypts, pings and reconnects. Messages go their own way, because
its subscriptions serve one message at a time, its flush is no barrier and its drain loses requests:
a delivery is handed over as it is parsed, frames are written once a turn of the loop, and a fence
is a PING that is written behind what it fences.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription as NatsSubscription
from nats.nuid import NUID
from nats.protocol.parser import Parser
from typing_extensions import override

from weenats.deadline import seconds
from weenats.errors import PermissionDeniedError, ServiceError, UnavailableError
from weenats.transport import Delivery, OnDelivery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from nats.aio.transport import Transport as NatsSocket

    from weenats.connection_options import ConnectionOptions

_LOG: Final = logging.getLogger("weenats.transport")
_PING: Final = b"PING\r\n"
_PORT: Final = 4222
_M: Final = ord("M")
_H: Final = ord("H")
_REFUSED: Final = re.compile(
    r"permissions violation for (publish|subscription)(?: with reply of| to) \"([^\"]*)\""
)
_MAX_KEPT_BYTES: Final = 2 * 1024 * 1024
_MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024
_SOCKET_BYTES: Final = 256 * 1024
_HEADER_FRAMING: Final = len(b"NATS/1.0\r\n\r\n")


@dataclass(frozen=True, slots=True)
class ConnectionEvents:
    """What a connection tells of itself."""

    refused: Callable[[str, str], None]
    """A "publish" or "subscription" was refused, and to which subject, in lower case."""
    disconnected: Callable[[], Awaitable[None]]
    reconnected: Callable[[], Awaitable[None]]
    closed: Callable[[], Awaitable[None]]


def _has_enough(transport: NatsSocket) -> bool:
    """Say whether to wait before more is written; what is no plain socket sends by draining."""
    writer: asyncio.StreamWriter | None = getattr(transport, "_io_writer", None)
    return writer is None or writer.transport.get_write_buffer_size() > _SOCKET_BYTES


class Interest:
    """A subscription of a connection."""

    __slots__ = ("on_delivery", "sid", "subject")

    def __init__(self, subject: str, sid: int, on_delivery: OnDelivery) -> None:
        self.subject = subject
        self.sid = sid
        self.on_delivery = on_delivery


class NatsConnection(Client):
    """nats-py's client with its own way of sending, dispatching and fencing."""

    def __init__(self, events: ConnectionEvents) -> None:
        super().__init__()
        self._events = events
        self._interests: dict[int, Interest] = {}
        self._ps = _MessageParser(self)
        self._loop = asyncio.get_running_loop()
        self._write_scheduled = False
        self._draining: asyncio.Task[None] | None = None
        self._pongs: list[asyncio.Future[bool]] = []

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
        return _is_loopback(url.hostname or "")

    @property
    def server_address(self) -> tuple[str, int] | None:
        """Host and port of the server."""
        url = self.connected_url
        return None if url is None or url.hostname is None else (url.hostname, url.port or _PORT)

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
        self._sid += 1
        self._subs[self._sid] = NatsSubscription(self, self._sid, subject, queue=queue_group)
        interest = self._interests[self._sid] = Interest(subject, self._sid, on_delivery)
        self._append(f"SUB {subject} {queue_group} {self._sid}\r\n".encode())
        return interest

    def leave(self, interest: Interest) -> None:
        """Tell the server to deliver no more; what is under way still arrives until `forget`."""
        if self._subs.pop(interest.sid, None) is not None and not self.is_closed:
            self._append(f"UNSUB {interest.sid}\r\n".encode())

    def forget(self, interest: Interest) -> None:
        """Hand over no more."""
        self._interests.pop(interest.sid, None)

    def listens_on(self, subject: str) -> bool:
        """Say whether there is interest in a subject, compared without case."""
        return any(interest.subject.lower() == subject for interest in self._interests.values())

    async def close(self) -> None:
        """End the connection; a server that is gone already is no failure."""
        try:
            await super().close()
        finally:
            reconnecting = self._reconnection_task
            if reconnecting is not None and reconnecting is not asyncio.current_task():
                await _end(reconnecting)  # one cancellation may get lost, and it goes on for ever

    def ping(self) -> asyncio.Future[bool]:
        """Write all that is pending and a PING behind it; the future ends with its PONG."""
        future: asyncio.Future[bool] = self._loop.create_future()
        self._hand_over(_PING)
        self._pongs.append(future)
        return future

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

    @override
    async def _flush_pending(self, force_flush: bool = False) -> Any:
        # Leaves nats-py nothing to flush: its `writelines` fails on a socket that is lost, from
        # Python 3.12 on with a TypeError, of which its flusher dies and its close stops half-way.
        self._hand_over()
        return await super()._flush_pending(force_flush)

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except BaseException:
            # nats-py tries the next server and leaves the socket of this one open.
            if self._transport is not None:
                self._transport.close()  # type: ignore[no-untyped-call]  # nats-py has no type for it
            raise

    async def _process_pong(self) -> None:
        # nats-py sets the result of a future even when it was cancelled, and its read loop ends.
        self._pings_outstanding = 0
        self._pongs_received += 1
        if self._pongs:
            future = self._pongs.pop(0)
            if not future.done():
                future.set_result(True)

    async def _process_err(self, err_msg: str) -> None:
        if (refused := _REFUSED.search(err_msg)) is not None:
            self._events.refused(refused[1], refused[2])
        elif "permissions violation" in err_msg:
            _LOG.warning("NATS: %s", err_msg)
        elif self.is_connected:
            _LOG.warning("NATS ended the connection: %s", err_msg)
            # nats-py would close for good, over an expired credential for instance. Where the
            # server must end the connection it does, and a new one is the way on.
            await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))
        else:
            await super()._process_err(err_msg)


class _MessageParser(Parser):
    """Takes messages out of the stream by itself.

    Control lines go to nats-py's parser, each as a whole.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self._dispatch = connection.dispatch
        self._rest = bytearray()
        self._needed = 0
        super().__init__(connection)  # pyright: ignore[reportUnknownMemberType]

    def reset(self) -> None:
        """Forget what was read of a connection that broke."""
        super().reset()
        self._rest = bytearray()
        self._needed = 0

    async def parse(self, data: bytes = b"") -> None:
        """Dispatch what is complete, and keep the rest."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
        rest = self._rest = bytearray()
        self._needed = position = 0
        while (line_end := data.find(b"\r\n", position)) >= 0:
            first = data[position]
            if first in (_M, _H):
                try:
                    after = self._take_message(data, position, line_end, has_headers=first == _H)
                except (ValueError, IndexError):
                    # The one error that makes nats-py connect anew; any other would leave it deaf.
                    raise nats.errors.ProtocolError from None
                if not after:
                    break
                position = after
            else:
                await super().parse(data[position : line_end + 2])
                position = line_end + 2
                if self._rest is not rest:
                    return  # the connection was reset: what is left belongs to the old one
        rest += data[position:]

    def _take_message(self, data: bytes, position: int, line_end: int, *, has_headers: bool) -> int:
        """Dispatch the message that starts here; return its end, or 0 when it is not complete."""
        parts = data[position:line_end].split(b" ")
        start = line_end + 2
        end = start + int(parts[-1])
        if len(data) < end + 2:
            self._needed = end + 2 - position
            return 0
        sizes = 1 + has_headers
        reply = parts[3] if len(parts) - sizes == 4 else b""  # noqa: PLR2004 - op, subject, sid, reply
        body = start + int(parts[-2]) if has_headers else start
        self._dispatch(int(parts[2]), parts[1], reply, data[body:end], data[start:body])
        return end + 2


def new_inbox(prefix: str) -> str:
    """Return a subject that nobody else listens on."""
    return f"{prefix}.{NUID().next().decode()}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


async def open_connection(
    servers: Sequence[str], options: ConnectionOptions, events: ConnectionEvents
) -> NatsConnection:
    """Connect, or raise in bounded time; once connected it reconnects for ever.

    Raises:
        UnavailableError: no server can be reached.
        PermissionDeniedError: the server refused the credentials.
    """
    connection = NatsConnection(events)
    failures: list[Exception] = []
    opened = False
    last: dict[str, str] = {}

    async def on_error(error: Exception) -> None:
        if not opened:
            failures.append(error)
            if sum(_refuses_credentials(each) for each in failures) >= len(servers):
                raise error  # nats-py would ask again and again until the time is over
        # Of attempts that fail alike every half second the first one is told.
        is_news = opened and str(error) != last.get("error")
        last["error"] = str(error)
        _LOG.log(logging.WARNING if is_news else logging.DEBUG, "NATS: %s", error)

    settings: dict[str, Any] = {
        "servers": list(servers),
        "error_cb": on_error,
        "disconnected_cb": events.disconnected,
        "reconnected_cb": events.reconnected,
        "closed_cb": events.closed,
        "name": options.name,
        "user": options.user,
        "password": options.password,
        "token": options.auth_token,
        "user_credentials": None if options.credentials is None else str(options.credentials),
        "nkeys_seed": None if options.nkey_seed is None else str(options.nkey_seed),
        "tls": options.tls,
        "connect_timeout": seconds(options.connect_timeout),
        "reconnect_time_wait": seconds(options.reconnect_wait),
        "ping_interval": seconds(options.ping_interval),
        "max_reconnect_attempts": -1,
    }
    connecting = asyncio.create_task(connection.connect(**settings))
    try:
        # Without a bound nats-py tries a dead server for minutes before the first connection.
        if not (await asyncio.wait([connecting], timeout=seconds(options.connect_timeout)))[0]:
            raise TimeoutError  # noqa: TRY301 - told below, like all that keeps from connecting
        await connecting
    except BaseException as error:
        await _end(connecting)
        with contextlib.suppress(Exception):
            await connection.close()
        if isinstance(error, TimeoutError):
            raise _connect_error(servers, failures) from None
        if isinstance(error, OSError | ValueError | nats.errors.Error):
            raise _connect_error(servers, [error]) from None
        raise
    opened = True
    return connection


async def _end(task: asyncio.Task[None]) -> None:
    # Before Python 3.12 asyncio.wait_for, on which nats-py waits, may lose a cancellation.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    if not task.cancelled():
        task.exception()


def _refuses_credentials(error: Exception) -> bool:
    return "authorization violation" in str(error).lower()


def shown(servers: Sequence[str]) -> str:
    """Return the servers as text, without the credentials that URLs may hold."""
    return ", ".join(re.sub(r"//[^@/]*@", "//", server) for server in servers)


def _connect_error(servers: Sequence[str], failures: Sequence[Exception]) -> ServiceError:
    where = shown(servers)
    reason = str(failures[-1]) if failures else "no answer"
    if failures and _refuses_credentials(failures[-1]):
        return PermissionDeniedError(f"NATS at {where} refused the credentials of the connection")
    return UnavailableError(f"no connection to NATS at {where}: {reason}")

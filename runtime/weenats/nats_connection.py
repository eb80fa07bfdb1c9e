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
import ssl
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription as NatsSubscription
from nats.aio.transport import TcpTransport
from nats.nuid import NUID
from nats.protocol.parser import Parser

from weenats.deadline import seconds
from weenats.errors import (
    ConnectionLostError,
    InvalidArgumentError,
    PermissionDeniedError,
    ServiceError,
    UnavailableError,
)
from weenats.nats_credentials import CredentialsError, Identity, credentials_in, nkey_in
from weenats.transport import Delivery, OnDelivery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from nats.aio.transport import Transport as NatsSocket

    from weenats.connection_options import ConnectionOptions

_LOG: Final = logging.getLogger("weenats.transport")
_PING: Final = b"PING\r\n"
_PORT: Final = 4222
_FENCE_TIMEOUT: Final = 10.0
_M: Final = ord("M")
_H: Final = ord("H")
_MINUS: Final = ord("-")
_REFUSED: Final = re.compile(
    rb"-ERR 'Permissions Violation for (Publish|Subscription)(?: with Reply of| to) \"([^\"]*)\"",
    re.IGNORECASE,
)
_MAX_KEPT_BYTES: Final = 2 * 1024 * 1024
_MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024
_SOCKET_BYTES: Final = 256 * 1024
_REFUSAL: Final = "the server refuses the credentials of the connection"
_CLOSE_TIMEOUT: Final = 2.0
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


def _socket(transport: NatsSocket | None) -> asyncio.WriteTransport | None:
    """Return the socket of a connection, None when it is no plain one."""
    writer: asyncio.StreamWriter | None = getattr(transport, "_io_writer", None)
    return None if writer is None else writer.transport


def _has_enough(transport: NatsSocket) -> bool:
    """Say whether to wait before more is written; what is no plain socket sends by draining."""
    socket = _socket(transport)
    return socket is None or socket.get_write_buffer_size() > _SOCKET_BYTES


class Interest:
    """A subscription of a connection."""

    __slots__ = ("on_delivery", "queue_group", "sid", "subject")

    def __init__(self, subject: str, queue_group: str, on_delivery: OnDelivery) -> None:
        self.subject = subject
        self.queue_group = queue_group
        self.on_delivery = on_delivery
        self.sid = 0


class NatsConnection(Client):
    """nats-py's client with its own way of sending, dispatching and fencing."""

    def __init__(self, events: ConnectionEvents, identify: Callable[[], Identity] | None) -> None:
        super().__init__()
        self._events = events
        self._identify = identify
        self._interests: dict[int, Interest] = {}
        self._ps = _MessageParser(self)
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
        return _is_loopback(url.hostname or "")

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
        return _REFUSAL if _refuses_credentials(self._err) else str(self._err)

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

    def refuse(self, what: str, subject: str) -> None:
        """Tell that the server refused a subject."""
        self._events.refused(self, what, subject)

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
                await _end(reconnecting)  # one cancellation may get lost, and it goes on for ever
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
        try:
            async with asyncio.timeout(_FENCE_TIMEOUT):
                answered = await pong
        except TimeoutError:
            raise ConnectionLostError("the NATS server does not answer") from None
        if not answered:
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

    async def _select_next_server(self) -> None:
        # nats-py shuffles them. The one that was lost is asked last: one that hangs takes a
        # connection, and nobody knows for the whole of connect_timeout that it says nothing.
        self._server_pool.sort(key=lambda server: server is self._current_server)
        await super()._select_next_server()

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

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
            if not self.is_connected:  # nats-py takes the end of a connection for its begin
                raise nats.errors.UnexpectedEOF  # noqa: TRY301 - like all that keeps from connecting
        except BaseException as error:
            self._abandon()
            if isinstance(error, ValueError | LookupError) and not isinstance(error, OSError):
                # What is no NATS server; nats-py would end its reconnecting.
                raise nats.errors.Error(f"nats: no answer of a server: {error}") from None
            raise

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002 - nats-py's
        if initial_connection and self._wants_tls:
            if not info.get("tls_required") and not info.get("tls_available"):
                raise _TlsMissingError("nats: the server offers no TLS")
            info["tls_required"] = True  # nats-py would not ask for what is only available
        await super()._process_info(info, initial_connection)

    @property
    def _wants_tls(self) -> bool:
        """Say whether what is sent must not go without TLS, be it that somebody took it away."""
        scheme = "" if self._current_server is None else self._current_server.uri.scheme
        return scheme != "wss" and (scheme == "tls" or "tls" in self.options)

    def _connect_command(self) -> bytes:
        if self._identify is None:
            return super()._connect_command()
        identity = self._identify()
        self._signature_cb, self._public_nkey = identity.sign, identity.public_key
        self._user_jwt_cb = None if identity.jwt is None else partial(bytes, identity.jwt)
        try:
            return super()._connect_command()
        finally:
            self._signature_cb = self._user_jwt_cb = None  # the seed is kept no longer

    def _abandon(self) -> None:
        """End what an attempt began; nats-py leaves its socket open, and may have read from it."""
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]  # nats-py has no type for it
        if isinstance(self._transport, TcpTransport):
            # Where a TLS handshake failed its end never comes, and nats-py would wait for it.
            self._transport = None
        for begun in ("_reading_task", "_ping_interval_task", "_flusher_task"):
            task: asyncio.Task[None] | None = getattr(self, begun)
            if task is not None:
                task.cancel()

    async def _attempt_reconnect(self) -> None:
        # nats-py would wait until a peer that is gone has taken what is left for it.
        self._abort()
        await super()._attempt_reconnect()

    def _abort(self) -> None:
        """End the socket at once; what is none is closed by nats-py alone."""
        if (socket := _socket(self._transport)) is not None:
            socket.abort()

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

    async def _process_err(self, err_msg: str) -> None:
        if "permissions violation" in err_msg:
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
        self._refuse = connection.refuse
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
                line = data[position : line_end + 2]
                position = line_end + 2
                if first == _MINUS and (refused := _REFUSED.match(line)) is not None:
                    # nats-py would tell of it in lower case, and subjects are none.
                    self._refuse(refused[1].decode().lower(), refused[2].decode())
                    continue
                await super().parse(line)
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
        InvalidArgumentError: a file of credentials cannot be used.
    """
    connection = NatsConnection(events, _identification(options))
    failures: list[Exception] = []
    opened = False
    last: dict[str, str] = {}

    async def on_error(error: Exception) -> None:
        if not opened:
            failures.append(error)
            if sum(_is_final(each) for each in failures) >= len(servers):
                raise error  # nats-py would ask again and again until the time is over
        # Of attempts that fail alike every half second the first one is told.
        is_news = opened and str(error) != last.get("error")
        last["error"] = str(error)
        level = logging.ERROR if _is_final(error) else logging.WARNING
        _LOG.log(level if is_news else logging.DEBUG, "NATS: %s", error)

    async def on_reconnected() -> None:
        last.clear()
        await events.reconnected(connection)

    settings: dict[str, Any] = {
        "servers": list(servers),
        "error_cb": on_error,
        "disconnected_cb": connection.on_disconnected,
        "reconnected_cb": on_reconnected,
        "closed_cb": partial(events.closed, connection),
        "lame_duck_mode_cb": connection.on_asked_to_leave,
        "name": options.name,
        "user": options.user,
        "password": options.password,
        "token": options.auth_token,
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


class _TlsMissingError(nats.errors.Error):
    """The server does not speak TLS, or somebody on the way says so."""


def _identification(options: ConnectionOptions) -> Callable[[], Identity] | None:
    if options.credentials is not None:
        return partial(credentials_in, options.credentials)
    return None if options.nkey_seed is None else partial(nkey_in, options.nkey_seed)


def _refuses_credentials(error: Exception) -> bool:
    return "authorization violation" in str(error).lower()


def _is_final(error: Exception) -> bool:
    """Say whether asking again helps only after somebody has changed something."""
    if isinstance(error, ssl.SSLError):
        return isinstance(error, ssl.SSLCertVerificationError) or "ALERT" in (error.reason or "")
    return isinstance(error, CredentialsError | _TlsMissingError) or _refuses_credentials(error)


def shown(servers: Sequence[str]) -> str:
    """Return the servers as text, without the credentials that URLs may hold."""
    return ", ".join(re.sub(r"^(\w+://)?.*@", r"\1", server) for server in servers)


def _connect_error(servers: Sequence[str], failures: Sequence[Exception]) -> ServiceError:
    where = shown(servers)
    if failures and isinstance(failures[-1], CredentialsError):
        return InvalidArgumentError(f"no credentials for NATS at {where}: {failures[-1]}")
    reason = str(failures[-1]) if failures else "no answer"
    if failures and _refuses_credentials(failures[-1]):
        return PermissionDeniedError(f"NATS at {where} refused the credentials of the connection")
    return UnavailableError(f"no connection to NATS at {where}: {reason}")

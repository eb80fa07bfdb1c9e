"""The transport over nats-py: the only file that imports nats.

nats-py connects, authenticates, encrypts, pings and reconnects. Messages go their own way, because its subscriptions serve
one message at a time, its flush is no barrier and its drain loses requests: a delivery is handed over as it is parsed,
a frame is written once, and a fence is a PING that goes through the same buffer as what it fences.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription as NatsSubscription
from nats.nuid import NUID
from nats.protocol.parser import Parser

from weenats.deadline import Duration, seconds
from weenats.errors import (
    ConnectionLostError,
    PermissionDeniedError,
    ResourceExhaustedError,
    ServiceError,
    UnavailableError,
)
from weenats.request_mux import RequestMux, gather_replies
from weenats.transport import Accepts, Delivery, OnDelivery, check_size

_LOG: Final = logging.getLogger("weenats.transport")
_PING: Final = b"PING\r\n"
_M: Final = ord("M")
_H: Final = ord("H")
_REFUSED: Final = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]*)\"")
_MAX_KEPT_BYTES: Final = 2 * 1024 * 1024
_FENCE_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How to connect to NATS. These credentials are the connection's; who calls a service is told by message tokens.

    Attributes:
        name: shown by NATS monitoring.
        user: with `password`.
        password: with `user`.
        auth_token: the token of the NATS connection, not of messages.
        credentials: a .creds file.
        nkey_seed: a file that holds an nkey seed.
        tls: a TLS context.
        connect_timeout: how long the first connection may take, seconds or timedelta.
        reconnect_wait: pause between attempts to reconnect, which never end.
        ping_interval: pause between pings; a peer that misses two of them is dead.
        inbox_prefix: where replies go, for servers that restrict subjects.
    """

    name: str | None = None
    user: str | None = None
    password: str | None = None
    auth_token: str | None = None
    credentials: str | Path | None = None
    nkey_seed: str | Path | None = None
    tls: ssl.SSLContext | None = None
    connect_timeout: Duration = 5.0
    reconnect_wait: Duration = 0.5
    ping_interval: Duration = 15.0
    inbox_prefix: str = "_INBOX"

    def __repr__(self) -> str:
        return f"ConnectionOptions(name={self.name!r})"


class _Subscription:
    __slots__ = ("nats", "on_delivery", "subject")

    def __init__(self, subject: str, on_delivery: OnDelivery, nats: NatsSubscription) -> None:
        self.subject = subject
        self.on_delivery = on_delivery
        self.nats = nats


class _Parser(Parser):
    """Takes messages out of the stream by itself, and leaves control lines to nats-py's parser, one whole line a time."""

    def __init__(self, connection: _Connection) -> None:
        self._dispatch = connection.dispatch
        super().__init__(connection)

    def reset(self) -> None:
        super().reset()
        self._rest = bytearray()
        self._needed_rest = 0

    async def parse(self, data: bytes = b"") -> None:
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed_rest:
                return
            data = bytes(self._rest)
        rest = self._rest = bytearray()
        self._needed_rest = position = 0
        while (end := data.find(b"\r\n", position)) >= 0:
            first = data[position]
            start = end + 2
            if first == _M:
                subject, sid, *reply, size = data[position + 4 : end].split()
                position_after = start + int(size) + 2
                if len(data) < position_after:
                    self._needed_rest = position_after - position
                    break
                self._dispatch(int(sid), subject, reply[0] if reply else b"", data[start : position_after - 2], b"")
                position = position_after
            elif first == _H:
                subject, sid, *reply, head_size, size = data[position + 5 : end].split()
                position_after = start + int(size) + 2
                if len(data) < position_after:
                    self._needed_rest = position_after - position
                    break
                body = start + int(head_size)
                self._dispatch(
                    int(sid), subject, reply[0] if reply else b"", data[body : position_after - 2], data[start:body]
                )
                position = position_after
            else:
                await super().parse(data[position:start])
                if self._rest is not rest:
                    return  # the connection was reset: what is left belongs to the old one
                position = start
        rest += data[position:]


class _Connection(Client):
    """nats-py's client with its own way of sending, dispatching and fencing."""

    def __init__(self, on_refused: Callable[[str, str], None]) -> None:
        super().__init__()
        self._on_refused = on_refused
        self._interests: dict[int, _Subscription] = {}
        self._ps = _Parser(self)
        self._loop = asyncio.get_running_loop()
        self._write_scheduled = False

    def send(self, frame: bytes) -> None:
        """Append a frame to what is written at the end of this turn of the loop; while reconnecting it is kept."""
        self._pending.append(frame)
        self._pending_data_size += len(frame)
        if not self._write_scheduled:
            self._write_scheduled = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._write_scheduled = False
        if self._pending and self._status == Client.CONNECTED:
            self._transport.write(b"".join(self._pending))
            self._pending.clear()
            self._pending_data_size = 0

    @property
    def is_full(self) -> bool:
        """Say whether what is kept while there is no connection has reached its limit."""
        return not self.is_connected and self._pending_data_size > _MAX_KEPT_BYTES

    def listen(self, subject: str, queue_group: str, on_delivery: OnDelivery) -> _Subscription:
        """Subscribe; nats-py keeps the subscription so that it is replayed after a reconnect, but no task serves it."""
        self._sid += 1
        known = NatsSubscription(self, self._sid, subject, queue=queue_group)
        interest = _Subscription(subject, on_delivery, known)
        self._subs[self._sid] = known
        self._interests[self._sid] = interest
        self.send(f"SUB {subject} {queue_group} {self._sid}\r\n".encode())
        return interest

    def leave(self, interest: _Subscription) -> None:
        """Tell the server to deliver no more; what is under way still arrives until `forget`."""
        if self._subs.pop(interest.nats._id, None) is not None:
            self.send(f"UNSUB {interest.nats._id}\r\n".encode())

    def forget(self, interest: _Subscription) -> None:
        """Hand over no more."""
        self._interests.pop(interest.nats._id, None)

    def ping(self) -> asyncio.Future[bool]:
        """Write all that is pending and a PING behind it; the future ends with its PONG."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._write()
        self._transport.write(_PING)
        self._pongs.append(future)
        return future

    def dispatch(self, sid: int, subject: bytes, reply: bytes, payload: bytes, block: bytes) -> None:
        """Hand a parsed message over; nats-py would end its read loop on any exception, and the connection be deaf."""
        interest = self._interests.get(sid)
        if interest is None:
            return
        try:
            interest.on_delivery(Delivery(subject.decode(), reply.decode(), payload, block))
        except Exception:
            _LOG.exception("a delivery on %s could not be taken", interest.subject)

    async def _process_pong(self) -> None:
        # nats-py sets the result of a future that was cancelled meanwhile, and ends its read loop over it.
        self._pings_outstanding = 0
        self._pongs_received += 1
        if self._pongs:
            future = self._pongs.pop(0)
            if not future.done():
                future.set_result(True)

    async def _process_err(self, err_msg: str) -> None:
        if (refused := _REFUSED.search(err_msg)) is not None:
            self._on_refused(refused[1], refused[2])
        elif self.is_connected:
            # nats-py would close for good on an expired credential, for instance; the server ends the connection
            # by itself where it must, and a new one is the way on.
            await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))
        else:
            await super()._process_err(err_msg)


class NatsTransport:
    """A connection to NATS servers, opened by its first use, that reconnects for ever.

    Raises:
        InvalidArgumentError: a duration of the options is no duration.
    """

    def __init__(self, servers: str | Sequence[str], options: ConnectionOptions | None = None) -> None:
        self._servers = [servers] if isinstance(servers, str) else list(servers)
        self._options = options or ConnectionOptions()
        self._connect_timeout = seconds(self._options.connect_timeout, "connect_timeout")
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._connected = asyncio.Event()
        self._closed: str | None = None
        self._mux: RequestMux | None = None
        self._inbox: _Subscription | None = None
        self._refused: set[str] = set()
        self._fences: set[asyncio.Future[bool]] = set()

    def __repr__(self) -> str:
        return f"<NatsTransport {'connected' if self._connected.is_set() else 'not connected'}>"

    @property
    def max_payload(self) -> int:
        """What the server of this connection carries at most; NATS's default before there is one."""
        return 1_048_576 if self._connection is None else self._connection.max_payload

    async def connect(self) -> None:
        """Be connected, or raise in bounded time; see Transport."""
        self._check_open()
        if self._connection is not None:
            return
        async with self._connecting:
            self._check_open()
            if self._connection is None:
                self._connection = await self._open()
                self._connected.set()

    async def close(self) -> None:
        """Send what is pending, fail what waits, and end the connection for good."""
        if self._closed is not None:
            return
        self._closed = "the connection to NATS was closed"
        if self._connection is not None:
            with contextlib.suppress(ServiceError):
                await self.fence()
            await self._connection.close()
        self._end()

    def publish(self, subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> None:
        """Hand a message to the connection; see Transport."""
        connection = self._connection
        if connection is None or self._closed is not None:
            connection = self._opened()
        check_size(subject, payload, headers, connection.max_payload)
        if connection.is_full:
            raise ResourceExhaustedError("no connection to NATS, and what is kept for it is full")
        connection.send(_frame(subject, reply, payload, headers))

    async def request(
        self, subject: str, payload: bytes, headers: bytes, deadline: float, accepts: Accepts | None = None
    ) -> Delivery:
        """Send a message and wait for the first reply that is accepted; see Transport."""
        if not self._connected.is_set():
            await self._wait_connected(deadline)
        mux = self._listen_for_replies()
        reply, future = mux.open(subject, deadline, accepts)
        try:
            self.publish(subject, payload, headers, reply)
            return await future
        finally:
            mux.discard(reply)

    async def request_many(self, subject: str, payload: bytes, *, timeout: float, quiet: float) -> list[Delivery]:
        """Send a message and gather replies; see Transport."""
        await self.connect()
        arrived: asyncio.Queue[Delivery] = asyncio.Queue()
        inbox = self.subscribe(f"{self._options.inbox_prefix}.{_nuid()}", arrived.put_nowait)
        try:
            await self.fence()
            self.publish(subject, payload, reply=inbox.subject)
            return await gather_replies(arrived, timeout=timeout, quiet=quiet)
        finally:
            with contextlib.suppress(ServiceError):
                await self.unsubscribe([inbox])

    def subscribe(self, subject: str, on_delivery: OnDelivery, queue_group: str = "") -> _Subscription:
        """Register interest; see Transport."""
        return self._opened().listen(subject, queue_group, on_delivery)

    async def fence(self) -> None:
        """Wait until server and connection have taken all that was sent before; see Transport."""
        connection = self._connection
        if connection is None or not connection.is_connected:
            raise ConnectionLostError("there is no connection to NATS")
        pong = connection.ping()
        self._fences.add(pong)
        try:
            async with asyncio.timeout(_FENCE_TIMEOUT):
                await pong
        except TimeoutError:
            raise ConnectionLostError("the NATS server does not answer") from None
        finally:
            self._fences.discard(pong)
        for subject in self._refused:
            if self._listens_on(subject):
                raise _refusal("subscription", subject)

    async def unsubscribe(self, subscriptions: Sequence[_Subscription]) -> None:
        """End interest behind a fence; see Transport."""
        connection = self._connection
        if connection is None:
            return
        for subscription in subscriptions:
            connection.leave(subscription)
        try:
            await self.fence()
        except ServiceError as error:
            _LOG.debug("unsubscribed without a fence: %s", error)
        finally:
            for subscription in subscriptions:
                connection.forget(subscription)

    def _listens_on(self, subject: str) -> bool:
        interests = () if self._connection is None else self._connection._interests.values()
        return any(interest.subject.lower() == subject for interest in interests)

    def _listen_for_replies(self) -> RequestMux:
        if self._mux is None:
            mux = RequestMux(f"{self._options.inbox_prefix}.{_nuid()}")
            self._inbox = self.subscribe(mux.wildcard, mux.on_delivery)
            self._mux = mux
        if self._refused and (inbox := self._mux.wildcard.lower()) in self._refused:
            raise _refusal("subscription", inbox)
        return self._mux

    async def _wait_connected(self, deadline: float) -> None:
        await self.connect()
        try:
            async with asyncio.timeout(max(deadline - monotonic(), 0)):
                await self._connected.wait()
        except TimeoutError:
            raise UnavailableError("there is no connection to NATS") from None
        self._check_open()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise ConnectionLostError(self._closed)

    def _opened(self) -> _Connection:
        self._check_open()
        if self._connection is None:
            raise ConnectionLostError("the connection to NATS is not open yet")
        return self._connection

    async def _open(self) -> _Connection:
        connection = _Connection(self._on_refused)
        options = self._options
        failures: list[Exception] = []

        async def on_error(error: Exception) -> None:
            failures.append(error)
            del failures[:-1]
            _LOG.log(logging.WARNING if self._connected.is_set() else logging.DEBUG, "NATS: %s", error)

        opening = connection.connect(  # pyright: ignore[reportUnknownMemberType]
            servers=self._servers,
            error_cb=on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
            name=options.name,
            user=options.user,
            password=options.password,
            token=options.auth_token,
            user_credentials=None if options.credentials is None else str(options.credentials),
            nkeys_seed=None if options.nkey_seed is None else str(options.nkey_seed),
            tls=options.tls,
            connect_timeout=self._connect_timeout,  # type: ignore[arg-type]  # annotated int, takes float
            reconnect_time_wait=seconds(options.reconnect_wait, "reconnect_wait"),  # type: ignore[arg-type]  # likewise
            ping_interval=seconds(options.ping_interval, "ping_interval"),  # type: ignore[arg-type]  # likewise
            max_reconnect_attempts=-1,
        )
        try:
            async with asyncio.timeout(self._connect_timeout):
                await opening
        except TimeoutError:
            await _abandon(connection)
            raise _connect_error(self._servers, failures) from None
        except (OSError, ValueError, nats.errors.Error) as error:
            await _abandon(connection)
            raise _connect_error(self._servers, [error]) from None
        return connection

    def _on_refused(self, what: str, subject: str) -> None:
        """Take a permissions violation; nats-py hands its text over in lower case."""
        _LOG.warning("NATS refused a %s: %s", what, subject)
        if what == "subscription":
            self._refused.add(subject)
        if self._mux is None:
            return
        if what == "publish":
            self._mux.fail(lambda _: _refusal(what, subject), subject)
        elif subject == self._mux.wildcard.lower():
            self._mux.fail(lambda _: _refusal(what, subject))

    async def _on_disconnected(self) -> None:
        self._connected.clear()
        lost = "the connection to NATS broke; whether {} was executed is unknown"
        if self._mux is not None:
            self._mux.fail(lambda subject: ConnectionLostError(lost.format(subject)))
        self._break_fences()

    async def _on_reconnected(self) -> None:
        # What a server refused, the next one may allow.
        self._refused.clear()
        self._connected.set()

    async def _on_closed(self) -> None:
        if self._connection is not None:
            self._closed = self._closed or "the connection to NATS was closed for good"
            self._end()

    def _end(self) -> None:
        # Whoever waits for the connection wakes up and finds it closed.
        self._connected.set()
        if self._mux is not None:
            self._mux.fail(lambda subject: ConnectionLostError(f"the connection was closed while {subject} ran"))
            self._mux.close()
        self._break_fences()

    def _break_fences(self) -> None:
        for pong in self._fences:
            if not pong.done():
                pong.set_exception(ConnectionLostError("the connection to NATS broke"))


def _frame(subject: str, reply: str, payload: bytes, headers: bytes) -> bytes:
    if not headers:
        return b"%b%d\r\n%b\r\n" % (f"PUB {subject} {reply} ".encode(), len(payload), payload)
    size = len(headers) + 12
    head = f"HPUB {subject} {reply} {size} {size + len(payload)}\r\nNATS/1.0\r\n".encode()
    return b"%b%b\r\n%b\r\n" % (head, headers, payload)


def _refusal(what: str, subject: str) -> PermissionDeniedError:
    return PermissionDeniedError(f"the NATS server does not let this connection use {subject} ({what})")


def _nuid() -> str:
    return NUID().next().decode()


async def _abandon(connection: Client) -> None:
    with contextlib.suppress(Exception):
        await connection.close()


def _connect_error(servers: Sequence[str], failures: Sequence[Exception]) -> ServiceError:
    shown = ", ".join(re.sub(r"//[^@/]*@", "//", server) for server in servers)
    reason = str(failures[-1]) if failures else "no answer"
    if "authorization violation" in reason.lower():
        return PermissionDeniedError(f"NATS at {shown} refused the credentials of the connection")
    return UnavailableError(f"no connection to NATS at {shown}: {reason}")

"""The transport over a NATS connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterable
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from weenats.errors import (
    ConnectionLostError,
    DeadlineExceededError,
    InvalidArgumentError,
    PermissionDeniedError,
    ResourceExhaustedError,
    ServiceError,
    UnavailableError,
)
from weenats.protocol.deadline import seconds
from weenats.transport.base import Accepts, Delivery, OnDelivery, Subscription, check_size, give_up
from weenats.transport.inbox import Arrivals, RequestMux, gather_replies
from weenats.transport.migration import ServerMove
from weenats.transport.nats_py import (
    ConnectionEvents,
    Interest,
    NatsConnection,
    new_inbox,
    open_connection,
    shown,
)
from weenats.transport.options import ConnectionOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOG: Final = logging.getLogger("weenats.transport")
_MOVE_TIMEOUT: Final = 5.0
"""Seconds that replies may take to come to the old server; it cuts clients off after ten."""
_DEFAULT_MAX_PAYLOAD: Final = 1_048_576
_SCHEMES: Final = ("nats", "tls", "ws", "wss")
_SCHEME: Final = re.compile(r"\s*([a-z][a-z0-9+.-]{0,19})://", re.ASCII | re.IGNORECASE)


class NatsTransport:
    """A connection to NATS servers, opened by its first use, that reconnects for ever.

    It leaves a server in lame duck mode before that goes, and nobody notices. See Transport.

    Args:
        servers: one URL or several.
        options: how to connect to them.
    """

    def __init__(
        self, servers: str | Sequence[str], options: ConnectionOptions | None = None
    ) -> None:
        self._servers = _checked(servers)
        self._options = options or ConnectionOptions()
        self._connection: NatsConnection | None = None
        self._connecting = asyncio.Lock()
        self._opening: asyncio.Task[NatsConnection] | None = None
        self._connected = asyncio.Event()
        self._is_private = True
        self._server_address: tuple[str, int] | None = None
        self._closed: str | None = None
        self._ended = asyncio.Event()
        self._mux: RequestMux | None = None
        self._inbox: Interest | None = None
        self._opening_inbox: asyncio.Task[RequestMux] | None = None
        self._refused: set[str] = set()
        self._moving: asyncio.Task[None] | None = None
        self._settling = asyncio.Lock()
        self._gatherings: set[tuple[str, Arrivals]] = set()

    def __repr__(self) -> str:
        return f"<NatsTransport {'connected' if self._connected.is_set() else 'not connected'}>"

    @property
    def max_payload(self) -> int:
        """What the server of this connection carries at most.

        NATS's default before there is one.
        """
        return _DEFAULT_MAX_PAYLOAD if self._connection is None else self._connection.max_payload

    @property
    def is_private(self) -> bool:
        """Say whether nobody on the way reads what is sent; see Transport."""
        return self._is_private

    @property
    def server_address(self) -> tuple[str, int] | None:
        """Host and port of the server it is connected to; see Transport."""
        return self._server_address

    async def connect(self) -> None:
        """Be connected, or raise in bounded time; see Transport."""
        self._check_open()
        if self._connection is not None:
            return
        async with self._connecting:
            self._check_open()
            if self._connection is None:
                self._opening = asyncio.create_task(self._open(self._servers))
                try:
                    self._connection = await self._opening
                except asyncio.CancelledError:
                    self._check_open()
                    raise
                finally:
                    self._opening = None
                self._note_server(self._connection)
                self._connected.set()

    async def close(self) -> None:
        """Send what is pending, fail what waits, and end the connection for good."""
        if self._closed is not None:
            return
        self._closed = "the connection to NATS was closed"
        if self._opening is not None:
            self._opening.cancel()
        await self._end_move()
        async with self._connecting:
            pass  # nothing is being opened any more
        if self._connection is not None:
            with contextlib.suppress(ServiceError):
                await self.fence()
            await self._connection.close()
        self._end()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended for good; see Transport."""
        await self._ended.wait()

    def publish(self, subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> None:
        """Hand a message to the connection; see Transport."""
        connection = self._connection
        if connection is None or self._closed is not None:
            connection = self._opened()
        check_size(subject, payload, headers, connection.max_payload)
        if connection.is_full:
            raise ResourceExhaustedError(
                "NATS is gone or slow, and what is kept for the connection is full"
            )
        connection.send(subject, reply, payload, headers)

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
        if not self._connected.is_set() or self._closed is not None:
            await self._wait_connected(deadline)
        mux = self._mux or await self._open_inbox(subject, deadline)
        reply, future = mux.open(subject, deadline, accepts)
        try:
            self.publish(subject, payload, headers, reply)
            return await future
        except (asyncio.CancelledError, DeadlineExceededError):
            give_up(self, cancel_subject, reply)
            raise
        finally:
            mux.discard(reply)

    async def request_many(
        self, subject: str, payload: bytes, headers: bytes = b"", *, timeout: float, quiet: float
    ) -> list[Delivery]:
        """Send a message and gather replies; see Transport."""
        await self.connect()
        arrived: Arrivals = asyncio.Queue()
        inbox = self.subscribe(new_inbox(self._options.inbox_prefix), arrived.put_nowait)
        self._gatherings.add((subject, arrived))
        try:
            await self.fence()
            self.publish(subject, payload, headers, inbox.subject)
            return await gather_replies(arrived, timeout=timeout, quiet=quiet)
        finally:
            self._gatherings.discard((subject, arrived))
            await self.unsubscribe([inbox])

    def subscribe(self, subject: str, on_delivery: OnDelivery, queue_group: str = "") -> Interest:
        """Register interest; see Transport."""
        return self._opened().listen(subject, queue_group, on_delivery)

    async def fence(self) -> None:
        """Wait until server and connection have taken all that was sent before; see Transport."""
        connection = await self._pass()
        self._check_allowed(*(each for each in self._refused if connection.listens_on(each)))

    async def _pass(self) -> NatsConnection:
        """Wait until all that was sent before has been taken, whatever was refused of it."""
        connection = self._connection
        if connection is None:
            raise ConnectionLostError("there is no connection to NATS")
        await connection.fence()
        return connection

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """End interest behind a fence; see Transport."""
        async with self._settling:  # what goes to another server is left there
            connection = self._connection
            if connection is None:
                return
            mine = [each for each in subscriptions if isinstance(each, Interest)]
            for interest in mine:
                connection.leave(interest)
            try:
                await self.fence()
            except ServiceError as error:
                _LOG.debug("unsubscribed without a fence: %s", error)
            finally:
                for interest in mine:
                    connection.forget(interest)
                    if not connection.listens_on(interest.subject):
                        self._refused.discard(interest.subject)

    async def _open(self, servers: Sequence[str]) -> NatsConnection:
        events = ConnectionEvents(
            refused=self._on_refused,
            disconnected=self._on_disconnected,
            reconnected=self._on_reconnected,
            closed=self._on_closed,
            asked_to_leave=self._on_asked_to_leave,
        )
        return await open_connection(servers, self._options, events)

    def _note_server(self, connection: NatsConnection) -> None:
        self._is_private = connection.is_private
        self._server_address = connection.server_address

    def _check_open(self) -> None:
        if self._closed is not None:
            raise ConnectionLostError(self._closed)

    def _check_allowed(self, *subjects: str) -> None:
        if refused := self._refused.intersection(subjects):
            raise _refusal("subscription", ", ".join(sorted(refused)))

    def _opened(self) -> NatsConnection:
        self._check_open()
        if self._connection is None:
            raise ConnectionLostError("the connection to NATS is not open yet")
        return self._connection

    async def _open_inbox(self, subject: str, deadline: float) -> RequestMux:
        """Return what takes replies; calls that begin meanwhile wait for the same one."""
        if self._opening_inbox is None:
            # It outlives the call that set it off.
            self._opening_inbox = asyncio.create_task(self._new_inbox(), context=Context())
        waiting = asyncio.shield(self._opening_inbox)
        try:
            async with asyncio.timeout(max(deadline - monotonic(), 0)):
                return await waiting
        except TimeoutError:
            raise DeadlineExceededError(f"no reply from {subject} in time") from None

    async def _new_inbox(self) -> RequestMux:
        """Listen for replies, and return once the server lets them through.

        Nothing is sent before: a request would be executed, and its caller told that it may not.
        """
        mux = RequestMux(new_inbox(self._options.inbox_prefix))
        try:
            inbox = self.subscribe(mux.wildcard, mux.on_delivery)
            try:
                await self._pass()
                self._check_allowed(mux.wildcard)
            except BaseException:
                self._forget(inbox)
                raise
            self._mux, self._inbox = mux, inbox
        finally:
            self._opening_inbox = None
        return mux

    def _forget(self, interest: Interest) -> None:
        """End interest at once; whether it was refused is no matter any more."""
        if self._connection is not None:
            self._connection.leave(interest)
            self._connection.forget(interest)
        self._refused.discard(interest.subject)

    async def _wait_connected(self, deadline: float) -> None:
        try:
            async with asyncio.timeout(max(deadline - monotonic(), 0)):
                await self.connect()
                await self._connected.wait()
        except TimeoutError:
            trouble = "" if self._connection is None else f": {self._connection.trouble}"
            raise UnavailableError(
                "there was no connection to NATS until the deadline; "
                f"{shown(self._servers)}{trouble}"
            ) from None
        self._check_open()

    def _on_refused(self, _: NatsConnection, what: str, subject: str) -> None:
        _LOG.warning("NATS refused a %s: %s", what, subject)
        if what == "publish":
            self._fail_asking(subject)
            return
        self._refused.add(subject)
        if self._mux is not None and self._inbox is not None and subject == self._mux.wildcard:
            # The next call asks for another one: the server may have changed its mind.
            mux, self._mux = self._mux, None
            mux.fail(lambda _: _refusal(what, subject))
            mux.close()
            self._forget(self._inbox)

    def _fail_asking(self, subject: str) -> None:
        if self._mux is not None:
            self._mux.fail(lambda _: _refusal("publish", subject), subject)
        for asked, arrived in self._gatherings:
            if asked == subject:
                arrived.put_nowait(_refusal("publish", subject))

    async def _on_disconnected(self, connection: NatsConnection) -> None:
        if connection is not self._connection:
            return
        self._connected.clear()
        # What one server refused the next may allow, or refuse again before it is reconnected.
        self._refused.clear()
        self._fail_all("the connection to NATS broke; whether {} was executed is unknown")

    async def _on_reconnected(self, connection: NatsConnection) -> None:
        if connection is self._connection:
            self._note_server(connection)
            self._connected.set()

    async def _on_asked_to_leave(self, connection: NatsConnection) -> None:
        if connection is self._connection and self._moving is None:
            _LOG.info("the NATS server is about to go: looking for another one")
            self._moving = asyncio.create_task(self._move())

    async def _move(self) -> None:
        """Be on a server that stays, with a connection that is there before the old one goes."""
        try:
            while (old := self._connection) is not None and old.is_asked_to_leave:
                try:
                    new = await self._open(old.known_servers)
                except ServiceError as error:
                    _LOG.debug("no other NATS server yet: %s", error)
                    await asyncio.sleep(seconds(self._options.reconnect_wait))
                else:
                    await self._change(old, new)
        finally:
            self._moving = None

    async def _change(self, old: NatsConnection, new: NatsConnection) -> None:
        """Use the new connection and close the old one, or the other way round when one broke."""
        try:
            await self._take_over(old, new)
        finally:
            await (new if self._connection is old else old).close()

    async def _take_over(self, old: NatsConnection, new: NatsConnection) -> None:
        async with self._settling:
            with contextlib.suppress(ConnectionLostError):
                await old.fence()  # what was sent is ahead of what will be
            if not (old.is_asked_to_leave and new.is_connected):
                return
            move = ServerMove(old, new, self._inbox)
            self._connection = new
            self._note_server(new)
            self._refused.clear()
            await move.settle()
        _LOG.info("moved to another NATS server")
        if self._mux is not None:
            await self._mux.answered(_MOVE_TIMEOUT)

    async def _end_move(self) -> None:
        moving, self._moving = self._moving, None
        if moving is not None:
            moving.cancel()
            await asyncio.wait([moving])

    async def _on_closed(self, connection: NatsConnection) -> None:
        if connection is self._connection:
            self._closed = self._closed or "the connection to NATS was closed for good"
            self._end()

    def _end(self) -> None:
        # Whoever waits for the connection wakes up and finds it closed.
        self._connected.set()
        self._ended.set()
        self._fail_all("the connection to NATS was closed; whether {} was executed is unknown")
        if self._mux is not None:
            self._mux.close()

    def _fail_all(self, text: str) -> None:
        if self._mux is not None:
            self._mux.fail(lambda subject: ConnectionLostError(text.format(subject)))
        for _, arrived in self._gatherings:
            arrived.put_nowait(ConnectionLostError("the connection to NATS broke"))


def _checked(servers: str | Sequence[str]) -> tuple[str, ...]:
    given = cast("object", servers)
    listed: tuple[object, ...] = ()
    if isinstance(given, str):
        listed = (given,)
    elif isinstance(given, Iterable):
        listed = tuple(cast("Iterable[object]", given))
    texts = tuple(server for server in listed if isinstance(server, str) and server.strip())
    if not texts or len(texts) != len(listed):
        # nats-py would look for a server that is not there in a loop that never ends.
        raise InvalidArgumentError("servers must be the URL of a NATS server, or several of them")
    for server in texts:
        scheme = _SCHEME.match(server)
        if scheme is not None and scheme[1].lower() not in _SCHEMES:
            known = ", ".join(f"{each}://" for each in _SCHEMES)
            raise InvalidArgumentError(
                f"the URL of a NATS server begins with {known}, not {scheme[0].strip()}"
            )
    return texts


def _refusal(what: str, subject: str) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"the NATS server does not let this connection use {subject} ({what})"
    )

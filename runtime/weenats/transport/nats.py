"""The transport over a connection to NATS servers."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from contextlib import suppress
from contextvars import Context
from logging import DEBUG, WARNING
from time import monotonic
from typing import TYPE_CHECKING, Final
from warnings import warn

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import cancel_and_wait, retrieve, start_task
from weenats._internal.text import printable
from weenats._internal.uncopyable import Uncopyable
from weenats.errors import (
    ConnectionClosedError,
    ConnectionLostError,
    DeadlineExceededError,
    ServiceError,
    UnavailableError,
    connection_error,
)
from weenats.protocol.subjects import encode_subject
from weenats.protocol.timeouts import seconds
from weenats.transport.base import DENIED
from weenats.transport.cancellation import send_cancellation
from weenats.transport.event_loop import check_event_loop, end_on
from weenats.transport.inbox import ReplyInbox, gather_replies
from weenats.transport.message_checks import check_reply
from weenats.transport.migration import Migration
from weenats.transport.nats_py.connect import open_connection
from weenats.transport.nats_py.connection import (
    ConnectionEvents,
    Interest,
    NatsConnection,
    new_inbox,
)
from weenats.transport.nats_py.errors import permission_denied
from weenats.transport.options import ConnectionOptions, checked_options
from weenats.transport.servers import Server, check_servers
from weenats.transport.unclosed import weak_async_method, weak_method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.transport.base import Accepts, Delivery, OnDelivery, Subscription

__all__ = ["NatsTransport"]
_LOG: Final = LimitedLogger("weenats.transport")
_RENEWAL_PAUSE: Final = 5.0
"""Seconds until what the server has denied to subscribe is tried again."""
_DEFAULT_MAX_PAYLOAD: Final = 1_048_576
_DENIAL: Final = f"NATS/1.0 {DENIED}\r\n\r\n".encode()


class NatsTransport(Uncopyable):
    """A connection to NATS servers; see `Transport`.

    It is opened by the first use, and reconnects without limit. It belongs to the event loop that
    opened it; use on another one, or in a forked process, raises WrongEventLoopError. It leaves a
    server in lame duck mode for another one before that server shuts down, without losing messages.
    An open one that is garbage-collected is closed, with a ResourceWarning.

    Args:
        servers: the URL of a NATS server, or several URLs; a text may have several, separated by
            commas.
        options: how to connect: credentials, TLS, timeouts.

    Attributes:
        is_private: whether messages are safe from eavesdroppers; True before the first connection.
        server_address: host and port of the server; None before the first connection.

    Example:
        ```python
        transport = NatsTransport("tls://nats.example:4222", ConnectionOptions(name="billing"))
        receipts, orders = ReceiptsClient(transport), OrdersClient(transport)
        ...
        await transport.close()
        ```

    Raises:
        InvalidArgumentError: the servers are not URLs of NATS servers.
        ImportError: a WebSocket URL is given without the extra `websocket`.
        TypeError: the options are not ConnectionOptions.
    """

    def __init__(
        self, servers: str | Sequence[str], options: ConnectionOptions | None = None
    ) -> None:
        self._servers = check_servers(servers)
        self._options = ConnectionOptions() if options is None else checked_options(options)
        self._connection: NatsConnection | None = None
        self.is_private = True
        self.server_address: tuple[str, int] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._closed: str | None = None
        self._begin(None)

    def _begin(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Prepare for an event loop; an inbox made before a fork would be that of all processes."""
        self._loop = loop
        self._inbox = ReplyInbox(self._options.inbox_prefix)
        self._migration = Migration(
            self._open, self._use, self._inbox, seconds(self._options.reconnect_wait)
        )
        self._reply_connections = self._migration.reply_connections
        self._opening: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._denied: set[str] = set()
        self._connected = asyncio.Event()
        self._disconnected = asyncio.Event()
        self._ended = asyncio.Event()

    def __del__(self) -> None:
        connection: NatsConnection | None = vars(self).get("_connection")
        if connection is None or self._closed is not None:
            return
        if self._loop is not None:
            end_on(self._loop, connection.close)
        warn(
            f"the connection to NATS at {self.servers} was not closed: use `async with` or"
            " `await close()` of the client or the transport",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )

    def __repr__(self) -> str:
        return f"<NatsTransport {'connected' if self._connected.is_set() else 'not connected'}>"

    @property
    def max_payload(self) -> int:
        """The maximum size of a message; the default of NATS before there is a connection."""
        return _DEFAULT_MAX_PAYLOAD if self._connection is None else self._connection.max_payload

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open now; see `Transport`."""
        return self._connected.is_set() and self._closed is None

    @property
    def servers(self) -> str:
        """The servers that it connects to, without credentials."""
        return ", ".join(map(str, self._servers))

    async def connect(self) -> None:
        """Open the connection; see `Transport`."""
        self._check_open()
        if self._connection is not None:
            return
        if self._opening is None:
            # An empty context: the connection outlives the request that needs it first.
            self._opening = start_task(self._open_first(), context=Context())
            self._opening.add_done_callback(self._on_opened)
        opening = self._opening
        # All wait for one attempt: those who give up do not end it for the others.
        await asyncio.wait([opening])
        if opening.cancelled():
            self._check_open()
        await opening  # it has ended: returns its result at once

    async def close(self, timeout: float | None = None) -> None:
        """Send the buffer, fail pending requests, and close the connection; see `Transport`.

        Closing goes on when its caller is cancelled; further calls wait for the first one.

        Args:
            timeout: how long the server may take to receive the buffer, in seconds; None for
                `close_timeout` of the options.
        """
        if timeout is None:
            timeout = seconds(self._options.close_timeout)
        if self._closing is None and self._closed is None:
            self._claim()
            self._closed = "the connection to NATS was closed"
            self._closing = start_task(self._close(timeout), context=Context())
        if self._closing is not None and not self._closing.done():
            self._claim()
            await asyncio.shield(self._closing)

    async def _close(self, timeout: float) -> None:
        end = monotonic() + timeout
        await cancel_and_wait(self._opening)
        await self._migration.stop()
        await cancel_and_wait(self._renewing)
        try:
            if self._connection is not None:
                with suppress(ServiceError, TimeoutError):
                    async with asyncio.timeout(timeout):
                        await self._connection.fence()
        finally:
            if self._connection is not None:
                await self._connection.close(end - monotonic())
            self._end()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed for good; see `Transport`."""
        if not self._ended.is_set():
            self._claim()
            await self._ended.wait()

    async def wait_disconnected(self) -> None:
        """Wait until the present connection ends; see `Transport`."""
        if not self._ended.is_set():
            self._claim()
            await self._disconnected.wait()

    def new_inbox(self) -> str:
        """Return a unique subject for replies; see `Transport`."""
        return new_inbox(self._options.inbox_prefix)

    def publish(self, subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> None:
        """Send a message; see `Transport`."""
        connection = self._connection
        if connection is None or self._closed is not None or get_running_loop() is not self._loop:
            connection = self._opened()
        if self._reply_connections:
            connection = self._migration.connection_for(subject, connection)
        if reply:
            check_reply(reply)
        connection.send(subject, reply, payload, headers)
        if reply:
            for interest in connection.interests:
                if interest.subject == reply:
                    interest.asked = subject

    async def request(  # noqa: PLR0913 - see Transport
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
        """Send a request and wait for its reply; see `Transport`."""
        if (
            get_running_loop() is not self._loop
            or not self._connected.is_set()
            or self._closed is not None
        ):
            await self._wait_connected(deadline)
        if self._inbox.interest is None:
            await self._open_inbox(subject, deadline)
        mux = self._inbox.mux
        reply, future = mux.open(subject, deadline, accepts)
        try:
            connection = self._connection
            if connection is None or self._reply_connections:
                self.publish(subject, payload, headers, reply)
            else:  # what `publish` checks is known already
                connection.send(subject, reply, payload, headers)
            return await future
        except BaseException as error:
            mux.discard(reply)  # a reply that arrives discards it itself
            if isinstance(error, asyncio.CancelledError | DeadlineExceededError):
                send_cancellation(self, cancel_subject, reply, message_id, payload)
            raise

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
        """Send a request and gather replies; see `Transport`."""
        end = monotonic() + timeout
        await self._wait_connected(end)
        with self._inbox.mux.gathering(subject) as arrivals:
            inbox = self.subscribe(self.new_inbox(), arrivals.put_nowait)
            try:
                async with asyncio.timeout(end - monotonic()):
                    await self.fence()
                self.publish(subject, payload, headers, inbox.subject)
                return await gather_replies(
                    arrivals, timeout=end - monotonic(), quiet=quiet, accepts=accepts
                )
            except TimeoutError:
                raise connection_error(
                    DeadlineExceededError, "the NATS server does not answer in time"
                ) from None
            finally:
                inbox.drop()

    def subscribe(self, subject: str, on_delivery: OnDelivery, queue_group: str = "") -> Interest:
        """Subscribe; see `Transport`."""
        interest = self._opened().register(subject, queue_group, on_delivery)
        interest.owner = self
        return interest

    async def fence(self) -> None:
        """Wait until the server has processed everything that was sent before; see `Transport`."""
        connection = self._opened()
        await connection.fence(seconds(self._options.connect_timeout))
        if denied := {each.subject for each in connection.interests if each.denied}:
            subjects, prefix = ", ".join(sorted(denied)), f"{self._options.inbox_prefix}."
            of_inbox = any(each.startswith(prefix) for each in denied)
            raise permission_denied("subscription", subjects, of_inbox=of_inbox)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Unsubscribe and wait for a fence; see `Transport`."""
        self._claim()
        interests = [each for each in subscriptions if isinstance(each, Interest)]
        for interest in interests:
            interest.leave()
        try:
            await self._migration.end(interests)
            # The server may send messages until it confirms: without waiting they would be lost.
            await self._opened().fence(seconds(self._options.close_timeout))
        except ServiceError as error:
            _LOG.debug("unsubscribed without a fence: %s", error)
        finally:
            for interest in interests:
                interest.drop()

    async def _open_inbox(self, subject: str, deadline: float) -> None:
        """Subscribe to replies; as nothing was sent before, over the next connection if need be."""
        while True:
            connection = self._opened()
            try:
                await self._inbox.open(connection, subject, deadline)
            except ConnectionLostError:
                if connection.is_connected:  # its server hangs, or somebody ended its tasks
                    raise
                await self._wait_connected(deadline)
            else:
                return

    async def _open_first(self) -> None:
        self._use(await self._open(self._servers))

    def _on_opened(self, opening: asyncio.Task[None]) -> None:
        self._opening = None
        retrieve(opening)

    async def _open(self, servers: Sequence[Server]) -> NatsConnection:
        events = ConnectionEvents(
            denied=weak_method(self._on_denied),
            disconnected=weak_async_method(self._on_disconnected),
            reconnected=weak_async_method(self._on_reconnected),
            closed=weak_async_method(self._on_closed),
            lame_duck=weak_async_method(self._on_lame_duck),
        )
        return await open_connection(servers, self._options, events)

    def _use(self, connection: NatsConnection) -> None:
        self._end_present()
        self._connection = connection
        self.is_private = connection.is_private
        self.server_address = connection.server_address
        self._connected.set()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise connection_error(ConnectionClosedError, f"{self._closed}: nothing was sent")
        self._claim()

    def _claim(self) -> None:
        """Belong to the running event loop, instead of one that ended before it connected.

        Raises:
            WrongEventLoopError: the transport belongs to another event loop.
        """
        if self._loop is None or (self._connection is None and self._loop.is_closed()):
            self._begin(get_running_loop())
        check_event_loop(self._loop)

    def _opened(self) -> NatsConnection:
        self._check_open()
        if self._connection is None:
            raise connection_error(ConnectionLostError, "the connection to NATS is not open yet")
        return self._connection

    async def _wait_connected(self, deadline: float) -> None:
        connection = self._connection
        if connection is not None and not connection.is_connected and self._closed is None:
            self._connected.clear()  # that it broke is reported a step of the loop later
        try:
            async with asyncio.timeout(max(deadline - monotonic(), 0)):
                await self.connect()
                await self._connected.wait()
        except TimeoutError:
            reason = "" if self._connection is None else f": {self._connection.failure}"
            raise connection_error(
                UnavailableError,
                f"there was no connection to NATS until the deadline; {self.servers}{reason}",
            ) from None
        self._check_open()

    def _on_denied(self, connection: NatsConnection, what: str, subject: str) -> None:
        is_known = what == "subscription" and subject in self._denied
        # A reply subject that is not UTF-8 cannot be written to every log.
        _LOG.log(DEBUG if is_known else WARNING, "NATS refused a %s: %s", what, printable(subject))
        if what == "publish":
            self._inbox.mux.fail(lambda _: permission_denied(what, subject), subject)
            for interest in connection.interests:
                if interest.asked == subject:
                    connection.dispatch(interest.sid, encode_subject(subject), b"", b"", _DENIAL)
        else:
            self._inbox.on_denied(subject)
            if self._renewing is None and self._closed is None:
                self._renewing = start_task(self._renew_denied(), context=Context())

    async def _renew_denied(self) -> None:
        """Try again what the server has denied to subscribe, while somebody still wants it.

        Permissions can change while the connection lasts, and the server does not say so.
        """
        try:
            while denied := await self._denied_after_pause():
                self._denied = {each.subject for each in denied}
                if (connection := self._connection) is None:
                    return
                with suppress(ServiceError):
                    await connection.renew(denied)
                    for each in denied:
                        if not each.denied:
                            _LOG.info("NATS allows a subscription again: %s", each.subject)
        finally:
            self._denied = set()
            self._renewing = None

    async def _denied_after_pause(self) -> list[Interest]:
        await asyncio.sleep(_RENEWAL_PAUSE)
        connection = self._connection
        return [] if connection is None else [each for each in connection.interests if each.denied]

    async def _on_disconnected(self, connection: NatsConnection) -> None:
        if connection is self._connection:
            self._connected.clear()
            self._end_present()
            self._fail_all("the connection to NATS broke")

    async def _on_reconnected(self, connection: NatsConnection) -> None:
        if connection is self._connection:
            self._use(connection)

    async def _on_lame_duck(self, connection: NatsConnection) -> None:
        if connection is self._connection:
            self._migration.start(connection)

    async def _on_closed(self, connection: NatsConnection) -> None:
        if connection is self._connection:
            self._closed = self._closed or "the connection to NATS was closed for good"
            self._end()

    def _end_present(self) -> None:
        """Wake those who wait for the end of the present connection."""
        self._disconnected.set()
        self._disconnected = asyncio.Event()

    def _end(self) -> None:
        self._end_present()
        self._connected.set()  # wakes requests that wait for the connection
        self._ended.set()
        self._fail_all("the connection to NATS was closed")
        self._inbox.mux.close()

    def _fail_all(self, reason: str) -> None:
        text = "{}; whether {} was executed is unknown"
        self._inbox.mux.fail(
            lambda subject: connection_error(ConnectionLostError, text.format(reason, subject))
        )

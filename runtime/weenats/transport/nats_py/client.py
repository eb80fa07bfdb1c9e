"""nats-py's client, made robust against hostile peers, lost sockets and missing TLS."""

from __future__ import annotations

import asyncio
import random
import ssl
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import nats.errors
from nats.aio.client import Client, Srv
from nats.aio.transport import TcpTransport
from typing_extensions import override

from weenats._internal.hosts import is_ip
from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task, retrieve
from weenats._internal.text import printable
from weenats.transport.message_checks import MAX_SIZE
from weenats.transport.nats_py.dial import Candidate, Dialer
from weenats.transport.nats_py.errors import (
    NOT_NATS,
    HeadersMissingError,
    NotNatsError,
    TlsMissingError,
    is_final,
)
from weenats.transport.nats_py.sockets import GreetedTcp, GreetedWebSocket, discard_socket
from weenats.transport.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nats.aio.transport import Transport as NatsSocket

    from weenats.transport.credentials import Identity
    from weenats.transport.servers import ServerUrl

__all__ = ["SteadyClient", "end_task", "socket_of"]
_LOG: Final = LimitedLogger("weenats.transport")
_REMEDIES: Final = {
    "maximum control line": "; set max_control_line of ConnectionOptions to that of the server",
    "maximum payload": "; set max_payload of ConnectionOptions if the account has a smaller one",
}
"""What helps where a limit is not announced, by a part of the server's reason."""
_MAX_SHARES: Final = 3
"""The first handshake may take a third of `connect_timeout`, or more if there are fewer servers."""
_MALFORMED: Final = (
    ValueError, LookupError, TypeError, AttributeError, nats.errors.ProtocolError,
)  # fmt: skip
"""What is raised when members of a server's greeting have other types than usual."""
_NO_HEADERS: Final = (
    "the server carries no headers, which weenats needs: remove no_header_support from its"
    " configuration"
)
_ENDED_AFTER_HANDSHAKE: Final = (
    "the server ended the connection after the TLS handshake: it may require a client certificate,"
    " or refuse the given one"
)
_ENDED_AT_ONCE: Final = (
    "the server ended the connection at once, for a reason that is in its log, such as the maximum"
    " number of connections"
)
_BEFORE_LOST: Final = 3
"""How many servers are tried before the one whose connection broke."""
_MAX_SERVERS: Final = 100
"""The maximum number of servers to remember."""
_MAX_READ: Final = 1000
"""The maximum number of announced servers to look at."""


class SteadyClient(Client):
    """Connects, authenticates and reconnects, and is never closed because of what a peer does.

    Args:
        identify: returns the identity that signs, for each attempt to connect; None for none.
        max_payload: the maximum size of a message, if it is smaller than what servers announce.
    """

    def __init__(
        self, identify: Callable[[], Identity] | None, max_payload: int | None = None
    ) -> None:
        super().__init__()
        self._identify = identify
        self._limit = max_payload
        self._was_connected = False

    @property
    def known_servers(self) -> list[Server]:
        """The given servers, and those that they announced."""
        return [_server(each) for each in self._server_pool]

    @property
    def has_failed(self) -> bool:
        """Whether further attempts at all given servers fail until the configuration changes."""
        given = [each.failure for each in self._candidates if not each.discovered]
        return all(each is not None and is_final(each) for each in given)

    @property
    def failures(self) -> list[Exception]:
        """The exceptions of the last attempts at the servers."""
        return [each.failure for each in self._candidates if each.failure is not None]

    @property
    def _candidates(self) -> list[Candidate]:
        return cast("list[Candidate]", self._server_pool)  # all of them are made here

    @property
    @override
    def ssl_context(self) -> ssl.SSLContext:
        """The context of the next TLS handshake."""
        given = cast("object", self.options.get("tls"))
        if not callable(given):
            return super().ssl_context
        try:
            context: object = given()
        except BaseException as error:  # a user's function; after an OSError nats-py tries again
            if ends_task(error):
                raise
            raise OSError(f"the function `tls` failed: {type(error).__name__}") from error
        if not isinstance(context, ssl.SSLContext):
            raise OSError(f"the function `tls` returned no SSLContext: {type(context).__name__}")
        return context

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        server = self._current_server
        scheme = "" if server is None else server.uri.scheme
        # nats-py uses TLS if and only if the server requires it, or the handshake comes first.
        return scheme == "wss" or (
            scheme != "ws"
            and bool(self.options["tls_handshake_first"] or self._server_info.get("tls_required"))
        )

    @property
    def _is_encrypted(self) -> bool:
        """Whether what the server sends now is encrypted."""
        transport = self._transport
        return isinstance(transport, GreetedTcp | GreetedWebSocket) and transport.is_encrypted

    def _setup_server_pool(self, connect_url: Sequence[Server]) -> None:  # type: ignore[override]  # nats-py has URLs
        self._server_pool = [
            Candidate(each.url, discovered=each.is_announced, tls_name=each.tls_name)
            for each in connect_url
        ]

    async def _select_next_server(self) -> None:
        """Connect to a server; nats-py tries them one after the other, and waits for each."""
        if self._transport is not None:
            await discard_socket(self._transport)
            self._transport = None
        dialer = Dialer(
            self.options["connect_timeout"],
            self.options["reconnect_time_wait"],
            lambda: self.ssl_context,
            tls_first=self.options["tls_handshake_first"],
        )
        while self._transport is None:
            # nats-py has shuffled them. The lost server comes later, as it may hang, but soon: many
            # others may have been announced that cannot be reached from here.
            lost = [each for each in self._server_pool if each is self._current_server]
            others = [each for each in self._server_pool if each is not self._current_server]
            others.sort(key=lambda each: each.last_attempt or 0.0)
            self._server_pool = [*others[:_BEFORE_LOST], *lost, *others[_BEFORE_LOST:]]
            dialed = await dialer.first_to_greet(self._candidates, self._on_failed_attempt)
            if dialed is not None:
                self._current_server, self._transport = dialed

    async def _on_failed_attempt(self, error: Exception) -> None:
        self._err = error
        await self._error_cb(error)

    async def _process_connect_init(self) -> None:
        # The first connection leaves time for other servers when one hangs in the middle.
        share = 1 if self._was_connected else min(len(self._server_pool), _MAX_SHARES)
        try:
            async with asyncio.timeout(self.options["connect_timeout"] / share):
                await super()._process_connect_init()
            if not self.is_connected:  # nats-py takes the end of a connection for its start
                raise nats.errors.UnexpectedEOF  # noqa: TRY301 - handled like other errors
            self._was_connected = True
            self._note_outcome(None)
        except BaseException as error:
            was_encrypted = self._is_encrypted
            self._abandon()
            if isinstance(error, _MALFORMED) and not isinstance(error, OSError):
                # nats-py would stop to reconnect.
                error = NotNatsError(f"{NOT_NATS}: its INFO has malformed members")
            self._note_outcome(error)
            if type(error) is TimeoutError:  # without a text
                raise TimeoutError("no answer in time") from None
            if isinstance(error, ConnectionError | nats.errors.UnexpectedEOF):
                # Whoever writes first does not read why: the line -ERR, or the alert of TLS.
                why = _ENDED_AFTER_HANDSHAKE if was_encrypted else _ENDED_AT_ONCE
                raise OSError(why) from None
            raise error from None

    def _note_outcome(self, error: BaseException | None) -> None:
        server = self._current_server
        if isinstance(server, Candidate):
            server.refusals = 0 if error is None else server.refusals + 1
            server.failure = error if isinstance(error, Exception) else None

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002 - nats-py's
        greeting = cast("object", info)
        if not isinstance(greeting, dict) or type(info.get("max_payload", 0)) is not int:
            raise nats.errors.ProtocolError
        if info.get("max_payload", 0) < 0:  # how a server says that there is no limit
            info["max_payload"] = MAX_SIZE
        if self._limit is not None and "max_payload" in info:
            info["max_payload"] = min(info["max_payload"], self._limit)
        scheme = "" if self._current_server is None else self._current_server.uri.scheme
        wants_tls = scheme == "tls" or (scheme != "wss" and "tls" in self.options)
        if initial_connection and wants_tls and not self.options["tls_handshake_first"]:
            if not info.get("tls_required") and not info.get("tls_available"):
                raise TlsMissingError("the server offers no TLS")
            info["tls_required"] = True  # nats-py does not use TLS that is only available
        if initial_connection and not info.get("headers"):
            raise HeadersMissingError(_NO_HEADERS)
        trusts_names = self._is_encrypted or not (initial_connection and info.get("tls_required"))
        self._learn_servers(info.pop("connect_urls", None), trusts_names=trusts_names)
        await super()._process_info(info, initial_connection)

    def _learn_servers(self, announced: object, *, trusts_names: bool) -> None:
        """Add servers that the connected one announced.

        They get its credentials and the name in its certificate, which nats-py forgets.

        Args:
            announced: hosts and ports.
            trusts_names: whether to add those with a host name: not before the TLS handshake, as
                someone on the network path who has a certificate for another name could add that,
                and get the credentials. Servers announce them again afterwards.
        """
        current = self._current_server
        if current is None or not isinstance(announced, list):
            return
        known = {each.url.address for each in self.known_servers}
        new: list[Candidate] = []
        origin = _server(current)
        addresses = cast("list[object]", announced)
        # A server may announce tens of thousands, and reading an address takes a while.
        for address in random.sample(addresses, min(len(addresses), _MAX_READ)):
            server = origin.announced(str(address), uses_tls=self.uses_tls)
            if server is None or not (trusts_names or is_ip(server.url.hostname or "")):
                continue
            if server.url.address not in known:
                known.add(server.url.address)
                new.append(Candidate(server.url, discovered=True, tls_name=server.tls_name))
        room = max(_MAX_SERVERS - len(self._server_pool), 0)
        self._server_pool += random.sample(new, min(len(new), room))

    def _connect_command(self) -> bytes:
        if self._identify is None:
            return super()._connect_command()
        identity = self._identify()
        self._signature_cb, self._public_nkey = identity.sign, identity.public_key
        self._user_jwt_cb = None if identity.jwt is None else partial(bytes, identity.jwt)
        try:
            return super()._connect_command()
        finally:
            self._signature_cb = self._user_jwt_cb = None  # keeps no reference to the seed

    def _abandon(self) -> None:
        """End a failed attempt; nats-py leaves its socket and its tasks open."""
        self._abort()  # else the socket below TLS stays open until the other end has answered
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]  # nats-py has no type for it
        if isinstance(self._transport, TcpTransport):
            # After a failed TLS handshake nats-py would wait for its end forever.
            self._transport = None
        for name in ("_reading_task", "_ping_interval_task", "_flusher_task"):
            task: asyncio.Task[None] | None = getattr(self, name)
            if task is not None:
                task.cancel()

    async def _attempt_reconnect(self) -> None:
        # nats-py would wait until a dead peer has received the rest of the buffer.
        self._abort()
        has_ended = False
        while not has_ended:
            try:
                # When a server ends connections at once, attempts overlap, and each says that it
                # has ended.
                with suppress(asyncio.InvalidStateError):
                    await super()._attempt_reconnect()
                has_ended = True
            except Exception:  # noqa: BLE001 - nothing else would begin another attempt
                _LOG.exception("unexpected error while reconnecting to NATS")
                await asyncio.sleep(self.options["reconnect_time_wait"])

    def _abort(self) -> None:
        """Abort a plain socket; nats-py closes other transports."""
        if (socket := socket_of(self._transport)) is not None:
            socket.abort()

    async def _flusher(self) -> None:
        # When a server ends a connection at once, it begins after the end, and asyncio logs that.
        with suppress(AssertionError):
            await super()._flusher()

    async def _on_too_many_subscriptions(self) -> None:
        """Note that the server refused a subscription."""

    async def _process_err(self, err_msg: str) -> None:
        err_msg = printable(err_msg)
        if "permissions violation" in err_msg:
            _LOG.warning("NATS: %s", err_msg)
        elif "maximum subscriptions exceeded" in err_msg.lower() and self.is_connected:
            await self._on_too_many_subscriptions()  # the server keeps the connection
        elif self.is_connected:
            remedies = [text for reason, text in _REMEDIES.items() if reason in err_msg]
            _LOG.warning("NATS ended the connection: %s%s", err_msg, "".join(remedies))
            # nats-py would close for good, for example after an expired credential. The server
            # closes the connection where it has to, and a new one may succeed.
            await self._process_op_err(nats.errors.Error(err_msg))
        else:
            await super()._process_err(err_msg)


def _server(known: Srv) -> Server:
    return Server(cast("ServerUrl", known.uri), known.tls_name, known.discovered)


def socket_of(transport: NatsSocket | None) -> asyncio.WriteTransport | None:
    """Return the socket of a connection, None when it has another transport.

    Args:
        transport: nats-py's transport of the connection.
    """
    writer: asyncio.StreamWriter | None = getattr(transport, "_io_writer", None)
    return None if writer is None else writer.transport


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended, and retrieve its exception.

    Args:
        task: the task.
    """
    # Before Python 3.12 asyncio.wait_for, on which nats-py waits, may lose a cancellation.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    retrieve(task)

"""nats-py's client, made robust against hostile peers, lost sockets and missing TLS."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import nats.errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from weenats._internal.limited_log import LimitedLogger
from weenats.transport.nats_py.errors import TlsMissingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.aio.transport import Transport as NatsSocket

    from weenats.transport.credentials import Identity

__all__ = ["SteadyClient", "end_task", "socket_of"]
_LOG: Final = LimitedLogger("weenats.transport")


class SteadyClient(Client):
    """Connects, authenticates and reconnects, and is never closed because of what a peer does.

    Args:
        identify: returns the identity that signs, for each attempt to connect; None for none.
    """

    def __init__(self, identify: Callable[[], Identity] | None) -> None:
        super().__init__()
        self._identify = identify

    async def _select_next_server(self) -> None:
        # nats-py shuffles them. The lost server is the last one, because a server that hangs
        # accepts the connection, and costs the whole connect_timeout.
        self._server_pool.sort(key=lambda server: server is self._current_server)
        await super()._select_next_server()

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
            if not self.is_connected:  # nats-py takes the end of a connection for its start
                raise nats.errors.UnexpectedEOF  # noqa: TRY301 - handled like other errors
        except BaseException as error:
            self._abandon()
            if isinstance(error, ValueError | LookupError) and not isinstance(error, OSError):
                # Not a NATS server. nats-py would stop to reconnect.
                raise nats.errors.Error(f"nats: not a NATS server: {error}") from None
            raise

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002 - nats-py's
        scheme = "" if self._current_server is None else self._current_server.uri.scheme
        wants_tls = scheme == "tls" or (scheme != "wss" and "tls" in self.options)
        if initial_connection and wants_tls:
            if not info.get("tls_required") and not info.get("tls_available"):
                raise TlsMissingError("nats: the server offers no TLS")
            info["tls_required"] = True  # nats-py does not use TLS that is only available
        await super()._process_info(info, initial_connection)

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
        await super()._attempt_reconnect()

    def _abort(self) -> None:
        """Abort a plain socket; nats-py closes other transports."""
        if (socket := socket_of(self._transport)) is not None:
            socket.abort()

    async def _process_err(self, err_msg: str) -> None:
        if "permissions violation" in err_msg:
            _LOG.warning("NATS: %s", err_msg)
        elif self.is_connected:
            _LOG.warning("NATS ended the connection: %s", err_msg)
            # nats-py would close for good, for example after an expired credential. The server
            # closes the connection where it has to, and a new one may succeed.
            await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))
        else:
            await super()._process_err(err_msg)


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
    if not task.cancelled():
        task.exception()

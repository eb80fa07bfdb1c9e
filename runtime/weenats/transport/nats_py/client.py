"""nats-py's client, where it would stumble: at hostile peers, lost sockets, missing TLS."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import nats.errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from weenats.transport.nats_py.errors import TlsMissingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.aio.transport import Transport as NatsSocket

    from weenats.transport.credentials import Identity

_LOG: Final = logging.getLogger("weenats.transport")


class SteadyClient(Client):
    """Connects, authenticates and reconnects, and never ends because of what a peer does.

    Args:
        identify: returns what the connection signs with, anew for each attempt; None: nothing.
    """

    def __init__(self, identify: Callable[[], Identity] | None) -> None:
        super().__init__()
        self._identify = identify

    async def _select_next_server(self) -> None:
        # nats-py shuffles them. The one that was lost is asked last: one that hangs takes a
        # connection, and nobody knows for the whole of connect_timeout that it says nothing.
        self._server_pool.sort(key=lambda server: server is self._current_server)
        await super()._select_next_server()

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
                raise TlsMissingError("nats: the server offers no TLS")
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
        if (socket := socket_of(self._transport)) is not None:
            socket.abort()

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


def socket_of(transport: NatsSocket | None) -> asyncio.WriteTransport | None:
    """Return the socket of a connection, None when it is no plain one."""
    writer: asyncio.StreamWriter | None = getattr(transport, "_io_writer", None)
    return None if writer is None else writer.transport


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended, and leave nothing of it unread."""
    # Before Python 3.12 asyncio.wait_for, on which nats-py waits, may lose a cancellation.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    if not task.cancelled():
        task.exception()

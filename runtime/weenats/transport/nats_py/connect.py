"""Opening a connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import nats.errors

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import start_task
from weenats.protocol.timeouts import seconds
from weenats.transport.credentials import Identity, credentials_in, nkey_in
from weenats.transport.nats_py.client import end_task
from weenats.transport.nats_py.connection import ConnectionEvents, NatsConnection
from weenats.transport.nats_py.errors import connect_error, is_final, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weenats.transport.options import ConnectionOptions
    from weenats.transport.servers import Server

__all__ = ["open_connection"]
_LOG: Final = LimitedLogger("weenats.transport")
_MAX_REPORTED: Final = 100
"""How many reasons are logged until there is a connection again."""


async def open_connection(
    servers: Sequence[Server], options: ConnectionOptions, events: ConnectionEvents
) -> NatsConnection:
    """Connect within `connect_timeout`; an open connection reconnects without limit.

    Args:
        servers: the servers.
        options: how to connect.
        events: the callbacks of the connection.

    Returns:
        The connection.

    Raises:
        UnavailableError: no server can be reached.
        PermissionDeniedError: the server refused the credentials.
        InvalidArgumentError: a file of credentials cannot be used.
    """
    connection = NatsConnection(
        events, options.max_control_line, _identification(options), options.max_payload
    )
    failures: list[Exception] = []
    opened = False
    reported: set[str] = set()

    async def on_error(error: Exception) -> None:
        if not opened:
            failures.append(error)
            if connection.has_failed:
                raise error  # else nats-py tries again until the timeout
        # Attempts every half second fail alike, at each server in its own way: each reason is
        # logged once.
        reason = text_of(error)
        is_new = opened and reason not in reported and len(reported) < _MAX_REPORTED
        if is_new:
            reported.add(reason)
        level = logging.ERROR if is_final(error) else logging.WARNING
        _LOG.log(level if is_new else logging.DEBUG, "NATS: %s", reason)

    async def on_reconnected() -> None:
        reported.clear()
        host, port = connection.server_address or ("", 0)
        _LOG.info("reconnected to NATS at %s:%d", host, port)
        await connection.on_reconnected()

    connecting = start_task(
        connection.connect(
            **_settings(servers, options),
            error_cb=on_error,
            disconnected_cb=connection.on_disconnected,
            reconnected_cb=on_reconnected,
            closed_cb=partial(events.closed, connection),
            lame_duck_mode_cb=connection.on_lame_duck,
        )
    )
    try:
        # nats-py would try a dead server for minutes.
        async with asyncio.timeout(seconds(options.connect_timeout)):
            await asyncio.wait([connecting])
        await connecting
    except BaseException as error:
        # Shielded: a caller that is cancelled again must not leave the socket open.
        await asyncio.shield(start_task(_give_up(connection, connecting)))
        if isinstance(error, TimeoutError):
            raise connect_error(servers, failures or connection.failures) from None
        if isinstance(error, OSError | ValueError | nats.errors.Error):
            raise connect_error(servers, [error]) from None
        raise
    opened = True
    return connection


async def _give_up(connection: NatsConnection, connecting: asyncio.Task[None]) -> None:
    await end_task(connecting)
    with contextlib.suppress(Exception):
        await connection.close()


def _settings(servers: Sequence[Server], options: ConnectionOptions) -> dict[str, Any]:
    """Return the servers and the options as nats-py names them."""
    return {
        "servers": list(servers),
        "name": options.name,
        "user": options.user,
        "password": options.password,
        "token": options.auth_token,
        "tls": options.tls,
        "tls_handshake_first": options.tls_handshake_first,
        "connect_timeout": seconds(options.connect_timeout),
        "reconnect_time_wait": seconds(options.reconnect_wait),
        "ping_interval": seconds(options.ping_interval),
        "max_reconnect_attempts": -1,
    }


def _identification(options: ConnectionOptions) -> Callable[[], Identity] | None:
    if options.credentials is not None:
        return partial(credentials_in, options.credentials)
    return None if options.nkey_seed is None else partial(nkey_in, options.nkey_seed)

"""Connections that programs forget to close: nothing but the connection itself refers to them."""

from __future__ import annotations

from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Final, ParamSpec
from weakref import WeakMethod

from weenats._internal.background import Background

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from weenats.transport.nats_py.connection import NatsConnection

__all__ = ["abandon", "weak_async_method", "weak_method"]
Parameters = ParamSpec("Parameters")
_CLOSING: Final = Background()


def weak_method(method: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Return a function that calls a method as long as its object lives.

    Args:
        method: a bound method.
    """
    find = WeakMethod(method)

    def call(*args: Parameters.args, **named: Parameters.kwargs) -> None:
        found = find()
        if found is not None:
            found(*args, **named)

    return call


def weak_async_method(
    method: Callable[Parameters, Awaitable[None]],
) -> Callable[Parameters, Awaitable[None]]:
    """Return an async function that calls a method as long as its object lives.

    Args:
        method: a bound async method.
    """
    find = WeakMethod(method)

    async def call(*args: Parameters.args, **named: Parameters.kwargs) -> None:
        found = find()
        if found is not None:
            await found(*args, **named)

    return call


def abandon(connection: NatsConnection, loop: asyncio.AbstractEventLoop) -> None:
    """Close a connection soon, from any thread.

    Args:
        connection: the connection.
        loop: its event loop, which may have ended.
    """
    with suppress(RuntimeError):  # the loop is closed, and the socket will be
        loop.call_soon_threadsafe(_close, connection, context=Context())


def _close(connection: NatsConnection) -> None:
    _CLOSING.run(connection.close())

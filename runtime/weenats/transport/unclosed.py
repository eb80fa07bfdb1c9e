"""Connections that programs forget to close: nothing but the connection itself refers to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec
from weakref import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["weak_async_method", "weak_method"]
Parameters = ParamSpec("Parameters")


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

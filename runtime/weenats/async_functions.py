"""Functions of users that must be async, or must not: told apart before the first call."""

from __future__ import annotations

from functools import partial
from inspect import iscoroutinefunction, isfunction, ismethod, unwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def is_async(function: object) -> bool:
    """Say whether a function, or an object that can be called, is async."""
    return iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def check_async(function: object, what: str) -> None:
    """Refuse what is no function, and a plain `def` where `async def` is needed.

    An async function around a plain one will do, and so will a plain one around an async one that
    says so (`functools.wraps`), and an object that can be called: its `__call__` may return any
    awaitable.

    Raises:
        TypeError: it is; the text begins with `what`.
    """
    if not callable(function):
        raise TypeError(f"{what} is an async function, not {type(function).__name__}")
    inner: Callable[..., object] = function
    while isinstance(inner, partial):
        inner = inner.func
    inner = unwrap(inner, stop=iscoroutinefunction)
    if (isfunction(inner) or ismethod(inner)) and not iscoroutinefunction(inner):
        raise TypeError(f"{what} must be an `async def`: {inner.__qualname__} is a plain one")

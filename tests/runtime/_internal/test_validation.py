"""Functions that must be async: what is surely a mistake is refused, and nothing else."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest

from weenats._internal.validation import check_async, is_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def good(one: str, two: str = "") -> str:
    """Await nothing."""
    return one + two


def bad(one: str) -> str:
    """Return at once."""
    return one


def timed(function: Callable[[str], Awaitable[str]]) -> Callable[[str], Awaitable[str]]:
    """Decorate as everybody does."""

    @wraps(function)
    def timing(one: str) -> Awaitable[str]:
        return function(one)

    return timing


def in_a_thread(function: Callable[[str], str]) -> Callable[[str], Awaitable[str]]:
    """Make a plain function async."""

    @wraps(function)
    async def threaded(one: str) -> str:
        return function(one)

    return threaded


class Both:
    """Has methods of both kinds."""

    async def good(self) -> None:
        """Await nothing."""

    def bad(self) -> None:
        """Return at once."""


class Handing:
    """Hands on what another one returns, without a coroutine of its own."""

    def __call__(self, one: str) -> Awaitable[str]:
        """Return an awaitable."""
        return good(one)


class Waiting:
    """Can be called and awaited."""

    async def __call__(self) -> None:
        """Await nothing."""


@pytest.mark.parametrize(
    "function",
    [good, timed(good), in_a_thread(bad), timed(in_a_thread(bad)), partial(good, two="b"),
     partial(timed(good), "a"), Both().good, Waiting(), Handing(), AsyncMock()],
)  # fmt: skip
def test_what_can_be_awaited_will_do(function: Any) -> None:
    """Decorated, partly applied, of an object, or the object itself."""
    check_async(function, "it")


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (bad, "bad"),
        (timed(bad), "bad"),  # type: ignore[arg-type]
        (partial(bad, "a"), "bad"),
        (Both().bad, r"Both\.bad"),
        (lambda one: one, "<lambda>"),
    ],
)
def test_a_plain_function_is_named(function: Any, name: str) -> None:
    """Whoever forgot `async` reads of which function."""
    with pytest.raises(
        TypeError, match=rf"^it must be an `async def`: .*{name} is a plain function$"
    ):
        check_async(function, "it")


@pytest.mark.parametrize("thing", [None, "good", 5, object(), [good]])
def test_what_cannot_be_called_is_refused(thing: Any) -> None:
    """Its type is named."""
    with pytest.raises(TypeError, match=f"^it is an async function, not {type(thing).__name__}$"):
        check_async(thing, "it")


def test_async_is_what_makes_coroutines() -> None:
    """A function or an object; whoever may return an awaitable or not is none."""
    assert is_async(good)
    assert is_async(Waiting())
    assert not is_async(bad)
    assert not is_async(Handing())
    assert not is_async(None)

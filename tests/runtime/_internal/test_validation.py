"""check_async accepts async callables and rejects everything else."""

from __future__ import annotations

from functools import partial, wraps
from types import MethodType
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest

from weenats._internal.validation import (
    check_async,
    check_boolean,
    check_integer,
    check_plain,
    is_async,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator


async def good(one: str, two: str = "") -> str:
    """Await nothing."""
    return one + two


def bad(one: str) -> str:
    """Return at once."""
    return one


def timed(function: Callable[[str], Awaitable[str]]) -> Callable[[str], Awaitable[str]]:
    """Wrap a function in a plain function that returns its awaitable."""

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


class Methods:
    """A class with async and plain methods."""

    async def good(self) -> None:
        """Await nothing."""

    def bad(self) -> None:
        """Return at once."""


class ReturnsAwaitable:
    """A plain `__call__` that returns the awaitable of another function."""

    def __call__(self, one: str) -> Awaitable[str]:
        """Return an awaitable."""
        return good(one)


class AsyncCallable:
    """An object with an async `__call__`."""

    async def __call__(self) -> None:
        """Await nothing."""


@pytest.mark.parametrize(
    "function",
    [good, timed(good), in_a_thread(bad), timed(in_a_thread(bad)), partial(good, two="b"),
     partial(timed(good), "a"), Methods().good, AsyncCallable(), ReturnsAwaitable(), AsyncMock()],
)  # fmt: skip
def test_async_callables_are_accepted(function: Any) -> None:
    """Decorated functions, partials, methods and callable objects are accepted."""
    check_async(function, "it")


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (bad, "bad"),
        (timed(bad), "bad"),  # type: ignore[arg-type]
        (partial(bad, "a"), "bad"),
        (Methods().bad, r"Methods\.bad"),
        (lambda one: one, "<lambda>"),
    ],
)
def test_plain_function_is_rejected(function: Any, name: str) -> None:
    """The error names the function that is not declared with `async def`."""
    with pytest.raises(
        TypeError, match=rf"^it must be an `async def`: .*{name} is a plain function$"
    ):
        check_async(function, "it")


@pytest.mark.parametrize("thing", [None, "good", 5, object(), [good]])
def test_non_callable_is_rejected(thing: Any) -> None:
    """The error names the type of a value that is not callable."""
    with pytest.raises(TypeError, match=f"^it is an async function, not {type(thing).__name__}$"):
        check_async(thing, "it")


def test_class_is_rejected() -> None:
    """A class in place of its object, also if it takes as many arguments."""
    with pytest.raises(TypeError, match=r"^it is an async function or an object, not a class: <"):
        check_async(AsyncCallable, "it")


class Proxy:
    """Has any attribute, as proxies of remote objects do."""

    def __getattr__(self, name: str) -> object:
        return self

    def __call__(self) -> None:
        """Do nothing."""


def generates(_: str) -> Generator[str]:
    """Yield in place of returning."""
    yield ""


async def generates_async(_: str) -> AsyncGenerator[str]:
    """Yield in place of returning."""
    yield ""


@pytest.mark.parametrize("thing", [None, 5, good, AsyncCallable(), generates, generates_async])
def test_plain_functions_are_not_async(thing: Any) -> None:
    """What is async, also by its `__call__`, a generator or not callable is refused."""
    with pytest.raises(TypeError, match=r"^it must be a plain function, not "):
        check_plain(thing, "it")
    for plain in (bad, [].append, Proxy(), MethodType(partial(bad), "it")):
        check_plain(plain, "it")


@pytest.mark.parametrize("number", [0, 4, 2.0, True, "2", None])
def test_integers_are_within_bounds(number: Any) -> None:
    """Numbers out of bounds, floats, booleans and texts are refused."""
    with pytest.raises(ValueError, match=f"^it is from 1 to 3, not {number!r}$"):
        check_integer("it", number, 1, 3)
    check_integer("it", 3, 1, 3)
    with pytest.raises(ValueError, match=r"^it is an integer of at least 1, not 0$"):
        check_integer("it", 0, 1)


@pytest.mark.parametrize("value", [None, 0, 1, "false", []])
def test_booleans_are_true_or_false(value: Any) -> None:
    """The text "false" is not taken for true."""
    with pytest.raises(TypeError, match=r"^it is True or False, not "):
        check_boolean("it", value)
    check_boolean("it", value=True)


def test_is_async_requires_a_coroutine_function() -> None:
    """A plain function that returns an awaitable does not count as async."""
    assert is_async(good)
    assert is_async(AsyncCallable())
    assert not is_async(bad)
    assert not is_async(ReturnsAwaitable())
    assert not is_async(None)

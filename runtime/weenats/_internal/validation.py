"""Checks of arguments: async functions, keyword options, lists of named entries."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from inspect import (
    CO_ASYNC_GENERATOR,
    CO_COROUTINE,
    CO_GENERATOR,
    isasyncgenfunction,
    isclass,
    iscoroutinefunction,
    isfunction,
    isgeneratorfunction,
    ismethod,
    unwrap,
)
from typing import Any, Final, cast

_NOT_PLAIN: Final = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR


def is_async(function: object) -> bool:
    """Return whether a function or a callable object is async."""
    return iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def is_generator(function: object) -> bool:
    """Return whether a function only makes a generator, sync or async, when it is called."""
    return isgeneratorfunction(function) or isasyncgenfunction(function)


def check_async(function: object, what: str) -> None:
    """Check that a function is async.

    Wrappers are accepted where the wrapped function is async (`functools.wraps`, `partial`), and
    callable objects, whose `__call__` may return any awaitable.

    Args:
        function: the function.
        what: what it is for, the subject of the error message.

    Raises:
        TypeError: it is not callable, or is a plain function.
    """
    if not callable(function):
        raise TypeError(f"{what} is an async function, not {type(function).__name__}")
    if isclass(function):
        raise TypeError(f"{what} is an async function or an object, not a class: {function!r}")
    inner: Callable[..., object] = function
    while isinstance(inner, partial):
        inner = inner.func
    inner = unwrap(inner, stop=iscoroutinefunction)
    if (isfunction(inner) or ismethod(inner)) and not iscoroutinefunction(inner):
        raise TypeError(f"{what} must be an `async def`: {inner.__qualname__} is a plain function")


def check_boolean(name: str, value: object) -> None:
    """Check that an argument is True or False: the text "false" would be true.

    Args:
        name: the name of the argument.
        value: its value.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {value!r}")


def check_plain(function: object, what: str) -> None:
    """Check that a function is callable and not async.

    Args:
        function: the function.
        what: what it is for, the subject of the error message.

    Raises:
        TypeError: it is not a plain function.
    """
    inner = function.__func__ if ismethod(function) else function
    if isfunction(inner) and not (inner.__dict__ or inner.__code__.co_flags & _NOT_PLAIN):
        return  # at once, as for each request with telemetry: neither marked nor wrapped
    if not callable(function) or is_async(function) or is_generator(function):
        raise TypeError(f"{what} must be a plain function, not {function!r}")


def check_integer(
    name: str,
    value: object,
    least: int,
    most: int | None = None,
    error: type[Exception] = ValueError,
) -> None:
    """Check that an argument is an integer within bounds.

    Args:
        name: the name of the argument.
        value: its value.
        least: the lowest value.
        most: the highest value, None for any.
        error: the class of the error.

    Raises:
        ValueError: it is not; or the `error` that was given.
    """
    if type(value) is not int or value < least or (most is not None and value > most):
        bounds = f"an integer of at least {least}" if most is None else f"from {least} to {most}"
        raise error(f"{name} is {bounds}, not {value!r}")


def check_options(options: Mapping[str, object], known: type, whose: str) -> None:
    """Check the names of options.

    Args:
        options: the options.
        known: the TypedDict of the options.
        whose: what the options are for, such as "a call".

    Raises:
        TypeError: an option is unknown.
    """
    names = known.__annotations__.keys()
    if not options.keys() <= names:
        from difflib import get_close_matches  # noqa: PLC0415 - only for the error

        name = min(options.keys() - names)
        close = get_close_matches(name, names, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(names))}"
        raise TypeError(f"{whose} has no option {name}; {remedy}")


def checked_entries(
    entries: object, what: str, members: Collection[str], name: re.Pattern[str]
) -> list[Mapping[str, Any]]:
    """Check a list of dictionaries with the same members, one of which is a unique `name`.

    Args:
        entries: the list.
        what: what the entries are, in the plural, for error messages.
        members: the names of the members.
        name: the pattern of the name.

    Returns:
        The entries.

    Raises:
        TypeError: it is not a list of dictionaries.
        ValueError: an entry has missing or unknown members, or its name is malformed or repeated.
    """
    if not isinstance(entries, list | tuple):
        raise TypeError(f"{what} are a list of dictionaries, not {type(entries).__name__}")
    taken: dict[str, Mapping[str, Any]] = {}
    for given in cast("Sequence[object]", entries):
        if not isinstance(given, Mapping):
            raise TypeError(f"each of {what} is a dictionary, not {type(given).__name__}")
        entry = cast("Mapping[str, Any]", given)
        if set(entry) != set(members):
            raise ValueError(
                f"each of {what} has the members {', '.join(members)}; this one has"
                f" {', '.join(map(str, entry)) or 'none'}"
            )
        given_name = entry["name"]
        if not isinstance(given_name, str) or name.fullmatch(given_name) is None:
            raise ValueError(f"a name in {what} matches ^{name.pattern}$, not {given_name!r}")
        if given_name in taken:
            raise ValueError(f"{what} have the name {given_name} twice")
        taken[given_name] = entry
    return list(taken.values())

"""The smallest document that still shows a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats_codegen.ir.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import JsonValue

_MAX_TRIES: Final = 2000
_MAX_PARTS: Final = 1_000_000
"""How many parts the values that are tried may have together."""
_LONG_TEXT: Final = 8


def simplified(value: JsonValue, shows: Callable[[JsonValue], bool]) -> JsonValue:
    """Return a value without the parts that it does not need.

    Args:
        value: A value that shows a difference.
        shows: Returns whether a value shows it.
    """
    tries = min(_MAX_TRIES, _MAX_PARTS // size_of(value))
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for smaller in _smaller(value):
            tries -= 1
            if tries < 0:
                return value
            if shows(smaller):
                value, is_smaller = smaller, True
                break
    return value


def _smaller(value: JsonValue) -> Iterator[JsonValue]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield {key: other for key, other in value.items() if key != name}
            yield from ({**value, name: smaller} for smaller in _smaller(member))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield value[:at] + value[at + 1 :]
            for smaller in _smaller(item):
                yield [*value[:at], smaller, *value[at + 1 :]]
    elif isinstance(value, str) and len(value) > _LONG_TEXT:
        yield from (value[: len(value) // 2], value[:-1])

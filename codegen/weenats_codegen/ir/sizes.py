"""How large JSON values are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import JsonValue

_PART_OF_TEXT: Final = 100
"""The characters of a text that count as a part."""


def size_of(value: JsonValue) -> int:
    """Return how many parts a value has: itself, its members and items, and those inside them.

    Parts of values that are the same object count each time, since JSON repeats them. Long texts
    count as many parts.

    Args:
        value: The value.
    """
    pending, parts = [value], 0
    while pending:
        part = pending.pop()
        parts += 1
        if isinstance(part, str):
            parts += len(part) // _PART_OF_TEXT
        elif isinstance(part, list):
            pending += part
        elif isinstance(part, dict):
            pending += part.values()
    return parts

"""What a search for a value may end with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Found:
    """There is a value, such as this one.

    Attributes:
        value: The value; equal parts may be one object, so it may need little memory for its size.
        parts: Its size, as `size_of` counts it.
    """

    value: JsonValue
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is no value."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No value was found, and it is not known that there is none."""

    reason: str


Outcome = Found | Nothing | Unknown

_MAX_PARTS: Final = 50_000
"""The most parts of a value: schemas that refer to others twice may need very many."""

NOTHING = Nothing()


def worse(first: Outcome, second: Outcome) -> Outcome:
    """Return what is known if there is no value in two cases.

    Args:
        first: The outcome of one case.
        second: The outcome of the other.
    """
    return second if isinstance(second, Unknown) and isinstance(first, Nothing) else first


def found_of(value: JsonValue, parts: Iterable[int]) -> Outcome:
    """Return that a value was found, unless it is too large to be looked at.

    Args:
        value: The value.
        parts: How many parts each of its items or members has.
    """
    count = 1 + sum(parts)
    return Found(value, count) if count <= _MAX_PARTS else Unknown("a very large document")

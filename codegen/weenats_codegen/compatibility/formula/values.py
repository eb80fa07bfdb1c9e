"""JSON values as JSON Schema compares them: `1` equals `1.0`, and `true` does not equal `1`."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pydantic import JsonValue

TYPES: Final = ("null", "boolean", "number", "string", "array", "object")
"""The types of values; an integer is a number that is a multiple of 1."""


def type_of(value: JsonValue) -> str:
    """Return the type of a value, one of `TYPES`.

    Args:
        value: The value.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def identity(value: JsonValue) -> Hashable:
    """Return what is equal for equal values, and different for different ones.

    Args:
        value: The value.
    """
    if isinstance(value, bool) or value is None:
        return (type_of(value), value)
    if isinstance(value, int | float):
        return ("number", exact(value))
    if isinstance(value, str):
        return ("string", value)
    if isinstance(value, list):
        return ("array", tuple(identity(item) for item in value))
    members = sorted((name, identity(member)) for name, member in value.items())
    return ("object", tuple(members))


def exact(number: float) -> Fraction:
    """Return the number that a JSON text of a number means.

    Args:
        number: The number.
    """
    return Fraction(number) if isinstance(number, int) else Fraction(Decimal(repr(number)))


def number_of(value: Fraction) -> int | float | None:
    """Return a number for JSON, None if floats cannot hold it.

    Args:
        value: The number.
    """
    if value.denominator == 1:
        return value.numerator
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if exact(number) == value else None

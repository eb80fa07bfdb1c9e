"""Equality of JSON values, as JSON Schema defines it.

jsonschema-rs compares all items of an array that have one hash, and numbers beyond 2^53 have few: a
message of 1 MB would keep it busy for minutes.
"""

import json
from decimal import Decimal
from typing import Any, cast

__all__ = ["UniqueItems"]


class UniqueItems:
    """The keyword `uniqueItems` for jsonschema-rs, in linear time whatever the items are.

    Args:
        parent_schema: the schema that has the keyword.
        value: the value of the keyword.
        schema_path: where the keyword stands.
    """

    __slots__ = ("_is_on",)

    def __init__(
        self, parent_schema: dict[str, Any], value: object, schema_path: list[str | int]
    ) -> None:
        del parent_schema, schema_path
        self._is_on = value is True

    def validate(self, instance: object) -> None:
        """Check a value.

        Args:
            instance: a JSON value.

        Raises:
            ValueError: it is an array with equal items.
        """
        if self._is_on and isinstance(instance, list):
            items = cast("list[object]", instance)
            if len(items) > 1 and len(set(map(_key, items))) < len(items):
                raise ValueError("items are equal")


def _key(value: object) -> str:
    """Return a text that is the same for equal values only.

    Hashes of texts are random, those of numbers are not: a sender could choose equal ones.
    """
    match value:
        case str():
            return json.dumps(value)
        case bool() | None:
            return repr(value)
        case float() | Decimal():
            # The shortest digits: those of the exact binary value of a float can be hundreds.
            return _decimal(str(value))
        case list():
            return f"[{','.join(map(_key, cast('list[object]', value)))}]"
        case dict():
            members = cast("dict[str, object]", value)
            parts = sorted(f"{json.dumps(name)}:{_key(part)}" for name, part in members.items())
            return f"{{{','.join(parts)}}}"
        case _:
            return _digits(str(value), 0)


def _decimal(text: str) -> str:
    significand, _, exponent = text.lower().partition("e")
    sign = "-" if significand.startswith("-") else ""
    whole, _, fraction = significand.removeprefix("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    return _digits(sign + digits, int(exponent or 0) - len(fraction))


def _digits(text: str, exponent: int) -> str:
    significant = text.rstrip("0")
    if significant in {"", "-"}:
        return "0"
    return f"{significant}e{exponent + len(text) - len(significant)}"

"""Equality of JSON values, as JSON Schema defines it.

jsonschema-rs compares all items of an array that have one hash, and numbers beyond 2^53 have few: a
message of 1 MB would keep it busy for minutes. Here items are read token by token, each only as far
as another one is the same: no further than the second largest of them. So the innermost of arrays
inside of arrays, all with unique items, is not read again for each array around it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

__all__ = ["UniqueItems"]
PartT = TypeVar("PartT")


class UniqueItems:
    """The keyword `uniqueItems` for jsonschema-rs, in almost linear time whatever the items are.

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
            if len(items) > 1 and _has_equal(items):
                raise ValueError("items are equal")


def _has_equal(items: list[object]) -> bool:
    """Return whether some items are equal."""
    groups = _alike((_token(item), item) for item in items)
    if any(not isinstance(group[0], list | dict) for group in groups):
        return True
    unread = [[_tokens(item) for item in group] for group in groups]
    while unread:
        group = unread.pop()
        following = [(next(tokens, ""), tokens) for tokens in group]
        if not following[0][0]:  # those that are alike end together
            return True
        unread += _alike(following)
    return False


def _alike(pairs: Iterable[tuple[str, PartT]]) -> list[list[PartT]]:
    """Return the groups of at least two that have the same token."""
    groups: dict[str, list[PartT]] = {}
    for token, each in pairs:
        groups.setdefault(token, []).append(each)
    return [group for group in groups.values() if len(group) > 1]


def _tokens(value: object) -> Iterator[str]:
    """Yield what is in an array or an object, as texts; equal values have the same texts."""
    unread: list[object] = _parts(value)
    while unread:
        part = unread.pop()
        yield _token(part)
        unread += _parts(part)


def _parts(value: object) -> list[object]:
    """Return the items of an array, or the names and values of an object, the first one last."""
    if isinstance(value, list):
        return cast("list[object]", value)[::-1]
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return [part for name in sorted(members, reverse=True) for part in (members[name], name)]
    return []


def _token(value: object) -> str:
    """Return a text that is the same for equal values; of arrays and objects, it is their size.

    Hashes of texts are random, those of numbers are not: a sender could choose equal ones.
    """
    match value:
        case str():
            return f'"{value}'
        case bool() | None:
            return repr(value)
        case int():
            return _digits(str(value), 0)
        case list():
            return f"[{len(cast('list[object]', value))}"
        case dict():
            return f"{{{len(cast('dict[str, object]', value))}"
        case _:
            # The shortest digits: those of the exact binary value of a float can be hundreds.
            return _decimal(str(value))


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

"""Strings and numbers -> their shapes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from weenats_codegen.ir.shapes.grammar import Schema, custom
from weenats_codegen.ir.shapes.pattern import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Drop = Callable[[str], None]

FORMAT_TYPES: Final = {
    "date": "date",
    "date-time": "AwareDatetime",
    "time": "time",
    "duration": "timedelta",
    "uuid": "UUID",
    "ipv4": "IPv4Address",
    "ipv6": "IPv6Address",
}
"""The types of `weenats.formats` whose values have other types in Python."""
ASSERTED: Final = frozenset({
    *FORMAT_TYPES, "email", "hostname", "uri", "uri-reference", "regex", "json-pointer",
})  # fmt: skip
"""Formats that are enforced; all others are annotations."""
_SIZES: Final = ("minLength", "maxLength")
_LOWER: Final = ("minimum", "exclusiveMinimum")
_UPPER: Final = ("maximum", "exclusiveMaximum")
_MAX_EXACT: Final = 2**53
_MAX_SIZE: Final = 2**63 - 1


def string(keywords: Schema, drop: Drop) -> Schema:
    """Return the shape of a string.

    Args:
        keywords: The keywords of its schema.
        drop: Called with each keyword that the shape does not enforce.
    """
    shape: Schema = {"type": "string", **sizes(keywords, _SIZES, drop)}
    form = keywords.get("format")
    is_plain = shape.keys() == {"type"} and not {"pattern", "x-python-type"} & keywords.keys()
    if is_plain and form in FORMAT_TYPES:
        return custom(FORMAT_TYPES[form], "string")
    if form in ASSERTED:
        drop("format")
    elif is_plain and keywords.get("contentEncoding") == "base64":
        return custom("Base64", "string")
    if "pattern" in keywords:
        pattern = translated(keywords["pattern"])
        if pattern is None:
            drop("pattern")
        else:
            shape["pattern"] = pattern
    return shape


def number(kind: str, keywords: Schema, drop: Drop) -> Schema:
    """Return the shape of a number.

    Args:
        kind: "integer" or "number".
        keywords: The keywords of its schema.
        drop: Called with each keyword that the shape does not enforce.
    """
    step = keywords.get("multipleOf")
    if kind == "integer" or (step is not None and step == int(step)):
        return _integer(keywords, drop)
    bounds: Schema = {key: keywords[key] for key in (*_LOWER, *_UPPER) if key in keywords}
    is_exact = all(abs(bound) < _MAX_EXACT for bound in bounds.values())
    if keywords.get("format") == "decimal" or step is not None or not is_exact:
        for keyword in (*bounds, "multipleOf", "format"):
            if keyword in keywords:
                drop(keyword)
        return custom("Decimal", "number")
    return {"type": "number", **bounds}


def sizes(keywords: Schema, names: Sequence[str], drop: Drop) -> Schema:
    """Return the bounds of a length or a number of items, as integers."""
    found: Schema = {}
    for name in names:
        if name in keywords:
            if keywords[name] <= _MAX_SIZE:
                found[name] = int(keywords[name])
            else:
                drop(name)
    return found


def member_names(schema: Schema, values: Sequence[Any]) -> list[str] | None:
    """Return the names of the members of an integer enumeration, None if it has none."""
    names: list[str] | None = schema.get("x-enum-varnames")
    if names is None or schema.get("enum") != values or len(names) != len(values):
        return None
    plain = all(type(value) is int for value in values)
    valid = all(name.isascii() and name.isidentifier() and name.isupper() for name in names)
    return names if plain and valid and len({*names}) == len(names) else None


def _integer(keywords: Schema, drop: Drop) -> Schema:
    """Return the shape of an integer; its bounds are rounded to integers."""
    shape: Schema = {"type": "integer"}
    for keyword in (*_LOWER, *_UPPER):
        bound: float | None = keywords.get(keyword)
        if bound is None:
            continue
        if bound == int(bound):
            shape[keyword] = int(bound)
        elif keyword in _LOWER:  # what is rounded is inclusive
            shape["minimum"] = max(math.ceil(bound), shape.get("minimum", math.ceil(bound)))
        else:
            shape["maximum"] = min(math.floor(bound), shape.get("maximum", math.floor(bound)))
    step = keywords.get("multipleOf")
    if step is not None:
        if step == int(step):
            shape["multipleOf"] = int(step)
        else:
            drop("multipleOf")
    return shape

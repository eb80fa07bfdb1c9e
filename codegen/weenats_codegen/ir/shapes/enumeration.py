"""`enum` and `const` -> literal types, as far as Python tells their values apart."""

from collections.abc import Mapping, Sequence
from typing import Final

import jsonschema_rs

from weenats_codegen.ir.shapes.grammar import (
    ANNOTATIONS,
    ANY,
    Json,
    Schema,
    key,
    references,
    union,
)

_OWN: Final = frozenset({"type", "enum", "const", "format", *ANNOTATIONS})
_AMBIGUOUS: Final = (0, 1)
"""Integers that a literal type takes for booleans."""


def allowed_values(
    schema: Schema, values: Sequence[Json], definitions: Mapping[str, Json]
) -> list[Json]:
    """Return the values of an enumeration that the whole schema allows, each once.

    Args:
        schema: The schema.
        values: The values of its enumerations.
        definitions: What it may refer to.
    """
    needed = _reachable(schema, definitions) if schema.keys() - _OWN else {}
    judge = jsonschema_rs.Draft202012Validator(
        {**schema, "$defs": needed}, validate_formats=True, offline=True
    )
    return [value for value in {key(each): each for each in values}.values() if judge.is_valid(value)]


def literal(values: Sequence[Json]) -> tuple[Schema, bool]:
    """Return the shape of some values, and whether it is exact."""
    texts: list[Json] = []
    others: list[Schema] = []
    exact = True
    flags = {value for value in values if isinstance(value, bool)}
    for value in values:
        match value:
            case None | str():
                texts.append(value)
            case bool():
                others.append({"type": "boolean"})
                exact = exact and len(flags) > 1
            case int() | float() if _is_whole(value):
                texts.append(int(value))
                exact = exact and value not in _AMBIGUOUS
            case float():
                others.append({"type": "number"})
                exact = False
            case _:
                return {**ANY}, False
    return union([*([{"enum": texts}] if texts else []), *others]), exact


def type_of(value: Json) -> str:
    """Return the JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "integer" if _is_whole(value) else "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _is_whole(value: float) -> bool:
    return isinstance(value, int) or value.is_integer()


def _reachable(schema: Json, definitions: Mapping[str, Json]) -> dict[str, Json]:
    """Return the definitions that a schema refers to, and so on."""
    found: dict[str, Json] = {}
    pending = [*references(schema)]
    while pending:
        name = pending.pop()
        if name not in found and name in definitions:
            found[name] = definitions[name]
            pending += references(definitions[name])
    return found

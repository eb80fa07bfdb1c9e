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


def allowed_values(
    schema: Schema, values: Sequence[Json], definitions: Mapping[str, Json]
) -> list[Json]:
    """Return the values of an enumeration that the whole schema allows, each once.

    Args:
        schema: The schema.
        values: The values of its enumerations.
        definitions: What it may refer to.
    """
    if not values:
        return []
    needed = _reachable(schema, definitions) if schema.keys() - _OWN else {}
    judge = jsonschema_rs.Draft202012Validator(
        {**schema, "$defs": needed}, validate_formats=True, offline=True
    )
    return [
        value for value in {key(each): each for each in values}.values() if judge.is_valid(value)
    ]


def literal(values: Sequence[Json]) -> tuple[Schema, bool]:
    """Return the shape of some values, and whether it is exact."""
    kinds = {type_of(value) for value in values}
    if kinds & {"array", "object"}:
        return {**ANY}, False
    wide = kinds & {"number"}
    if {key(value) for value in (True, False)} <= set(map(key, values)):
        wide.add("boolean")
    plain = [value for value in values if type_of(value) not in wide]
    literals = [int(value) if isinstance(value, float) else value for value in plain]
    shapes: list[Schema] = [{"enum": literals}] if literals else []
    shapes += [{"type": kind} for kind in sorted(wide)]
    return union(shapes), "number" not in wide


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

"""Schemas in the forms that datamodel-code-generator reads without adding or losing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats_codegen.parser import keywords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue

    from weenats_codegen.parser.walk import Schema


def normalized(schema: Schema) -> Schema:
    """Return an equivalent schema of one type, or with one type in each branch."""
    kinds = schema.get("type")
    if isinstance(kinds, list) and "properties" not in schema:
        several = len([kind for kind in kinds if kind != "null"]) > 1
        # Combined with null, a map would lose its bounds.
        if several or ("null" in kinds and not schema.keys().isdisjoint(keywords.MAP)):
            return _split(schema, kinds)
    match schema.get("anyOf"):
        case [dict() as only, {"type": "null"}] | [{"type": "null"}, dict() as only]:
            return _nullable(schema, only)
        case _:
            return schema


def is_object(schema: Mapping[str, JsonValue]) -> bool:
    """Return whether a schema within another needs a class of its own."""
    if "properties" in schema or "allOf" in schema:
        return True
    kind = schema.get("type")
    allows_object = kind == "object" or (isinstance(kind, list) and "object" in kind)
    is_closed = schema.get("additionalProperties") is False
    return allows_object and is_closed and "patternProperties" not in schema


def is_bounded(schema: Mapping[str, JsonValue]) -> bool:
    """Return whether a schema has bounds, so that it needs a name inside a union or a list."""
    return not schema.keys().isdisjoint(
        keywords.SCALAR_BOUNDS | keywords.SIZE_BOUNDS | keywords.MAP
    )


def map_schemas(schema: JsonValue, change: Callable[[Schema], Schema]) -> JsonValue:
    """Return a schema with a function applied to it and to every schema inside it.

    Args:
        schema: The schema.
        change: Called with each schema before those inside it.
    """
    if isinstance(schema, list):
        return [map_schemas(part, change) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result: Schema = {}
    for key, value in change(schema).items():
        if key in keywords.NAMED and isinstance(value, dict):
            result[key] = {name: map_schemas(part, change) for name, part in value.items()}
        else:
            result[key] = value if key in keywords.VALUES else map_schemas(value, change)
    return result


def without_descriptions(schema: JsonValue) -> JsonValue:
    """Return a schema without the keywords that only document it."""
    return map_schemas(
        schema, lambda part: {key: part[key] for key in part if key not in keywords.DESCRIPTIVE}
    )


def _nullable(schema: Schema, only: Schema) -> Schema:
    """Return `anyOf` of a simple schema and null as that schema with null among its types."""
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    kind = only.get("type")
    simple = isinstance(kind, str) and kind != "object" and not {"enum", "const"} & only.keys()
    if not simple or rest.keys() & only.keys() - keywords.DESCRIPTIVE:
        return schema
    return {**only, **rest, "type": [kind, "null"]}


def _split(schema: Schema, kinds: list[JsonValue]) -> Schema:
    """Return a schema of several types as one branch per type, each with the bounds of its type."""
    result = {key: value for key, value in schema.items() if key not in keywords.TYPED | {"type"}}
    result["anyOf"] = [
        {
            "title": str(kind),
            "type": kind,
            **{key: schema[key] for key in schema if key in keywords.BY_TYPE.get(str(kind), ())},
        }
        for kind in kinds
    ]
    return result

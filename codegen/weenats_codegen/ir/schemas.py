"""Schemas in the shapes that datamodel-code-generator reads without inventing or losing a thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

Schema = dict[str, "JsonValue"]

_NUMBER: Final = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
)  # fmt: skip
_BOUNDS: Final = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": _NUMBER,
    "integer": _NUMBER,
    "array": ("items", "minItems", "maxItems"),
    "object": ("additionalProperties", "patternProperties", "propertyNames",
               "minProperties", "maxProperties"),
}  # fmt: skip
ANNOTATIONS: Final = frozenset({"title", "description", "examples", "$comment", "deprecated"})
NAMED: Final = frozenset({"properties", "patternProperties", "$defs"})
VALUES: Final = frozenset({"enum", "const", "default", "required", "discriminator"})
_MAP_BOUNDS: Final = frozenset(
    {"patternProperties", "propertyNames", "minProperties", "maxProperties"}
)
_ALL_BOUNDS: Final = _MAP_BOUNDS | {
    *("minLength", "maxLength", "pattern", "minItems", "maxItems"),
    *_NUMBER,
}


def plain(schema: Schema) -> Schema:
    """Return a schema that means the same: of one type, or of one type a branch."""
    kinds = schema.get("type")
    if isinstance(kinds, list) and "properties" not in schema:
        several = len([kind for kind in kinds if kind != "null"]) > 1
        # Beside null, a map would lose its bounds.
        if several or ("null" in kinds and not schema.keys().isdisjoint(_MAP_BOUNDS)):
            return _apart(schema, kinds)
    match schema.get("anyOf"):
        case [dict() as only, {"type": "null"}] | [{"type": "null"}, dict() as only]:
            return _nullable(schema, only)
        case _:
            return schema


def is_object(schema: Mapping[str, JsonValue]) -> bool:
    """Whether a schema within another needs a class of its own."""
    if "properties" in schema or "allOf" in schema:
        return True
    return (
        _allows_object(schema)
        and schema.get("additionalProperties") is False
        and "patternProperties" not in schema
    )


def is_bounded(schema: Mapping[str, JsonValue]) -> bool:
    """Whether a value has bounds, so that a union or a list would need a name for it."""
    return not schema.keys().isdisjoint(_ALL_BOUNDS)


def annotation_free(schema: JsonValue) -> JsonValue:
    """Return a schema without what is said to people only."""
    if isinstance(schema, list):
        return [annotation_free(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept: Schema = {}
    for key, value in schema.items():
        if key in ANNOTATIONS:
            continue
        if key in NAMED and isinstance(value, dict):
            kept[key] = {name: annotation_free(part) for name, part in value.items()}
        else:
            kept[key] = value if key in VALUES else annotation_free(value)
    return kept


def _allows_object(schema: Mapping[str, JsonValue]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _nullable(schema: Schema, only: Schema) -> Schema:
    """Return `anyOf` of a simple schema and null as that schema with null among its types."""
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    kind = only.get("type")
    simple = isinstance(kind, str) and kind != "object" and not {"enum", "const"} & only.keys()
    if not simple or rest.keys() & only.keys() - ANNOTATIONS:
        return schema
    return {**only, **rest, "type": [kind, "null"]}


def _apart(schema: Schema, kinds: list[JsonValue]) -> Schema:
    """Return a schema of several types as one schema a type, each with what bounds that type."""
    bounds = {key for keys in _BOUNDS.values() for key in keys}
    result = {key: value for key, value in schema.items() if key not in {*bounds, "type"}}
    branches: list[JsonValue] = []
    for kind in kinds:
        bounded = {key: schema[key] for key in _BOUNDS.get(str(kind), ()) if key in schema}
        branches.append({"title": str(kind), "type": kind, **bounded})
    result["anyOf"] = branches
    return result

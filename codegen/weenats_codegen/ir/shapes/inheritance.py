"""`allOf` of plain open objects with members of their own -> a class with base classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from weenats_codegen.ir.shapes.grammar import ANNOTATIONS, Json, Schema, ref_name
from weenats_codegen.naming import field_name

_PLAIN: Final = ANNOTATIONS | {"type", "properties", "required", "additionalProperties"}


class Heir(NamedTuple):
    """A schema that is a class with base classes.

    Attributes:
        bases: The definitions of the base classes.
        own: What it demands besides.
    """

    bases: list[str]
    own: Schema


def heir(schema: Schema, definitions: Mapping[str, Json]) -> Heir | None:
    """Return the base classes of a schema, None if it is not a class that can inherit.

    Args:
        schema: The schema.
        definitions: What it may refer to.
    """
    own = {name: part for name, part in schema.items() if name not in ("$ref", "allOf")}
    parts = [{"$ref": schema["$ref"]}] if "$ref" in schema else []
    parts += schema.get("allOf", ())
    bases = [ref_name(part) for part in parts if isinstance(part, dict) and _is_reference(part)]
    others = [own, *(part for part in parts if not _is_reference(part))]
    if not bases or not all(_is_open(part) for part in others):
        return None
    targets = [definitions[name] for name in bases]
    if not all(_is_open(each) and {"type", "properties"} <= each.keys() for each in targets):
        return None
    names = [name for part in [*targets, *others] for name in part.get("properties", ())]
    if len(set(map(field_name, names))) < len(names) or len({*bases}) < len(bases):
        return None
    return Heir(bases, _joined(others))


def _is_reference(schema: Json) -> bool:
    return isinstance(schema, dict) and "$ref" in schema and schema.keys() <= ANNOTATIONS | {"$ref"}


def _is_open(schema: Json) -> bool:
    """Return whether a schema only describes some members of its own, and allows others."""
    return (
        isinstance(schema, dict)
        and schema.keys() <= _PLAIN
        and schema.get("type", "object") == "object"
        and schema.get("additionalProperties", True) is True
        and {*schema.get("required", ())} <= schema.get("properties", {}).keys()
    )


def _joined(parts: list[Schema]) -> Schema:
    properties = {name: part for each in parts for name, part in each.get("properties", {}).items()}
    required = [name for each in parts for name in each.get("required", ())]
    joined: Schema = {"type": "object", "properties": properties, "required": required}
    return {name: value for name, value in joined.items() if value}

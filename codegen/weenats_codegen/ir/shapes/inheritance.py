"""`allOf` of plain open objects with members of their own -> a class with base classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.ir.shapes.grammar import ANNOTATIONS, Json, Schema, ref_name
from weenats_codegen.naming import field_name

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    listed: list[Json] = schema.get("allOf", [])
    parts = [part for part in listed if isinstance(part, dict)]
    if "$ref" in schema:
        parts.insert(0, {"$ref": schema["$ref"]})
    bases = [ref_name(part) for part in parts if _is_reference(part)]
    others = [own, *(part for part in parts if not _is_reference(part))]
    targets = [each for name in bases if isinstance(each := definitions[name], dict)]
    if not bases or len(targets) < len(bases) or False in listed:
        return None
    if not all(map(_is_open, [*others, *targets])):
        return None
    if not all({"type", "properties"} <= target.keys() for target in targets):
        return None
    if any(target.get("deprecated") for target in targets):  # a base class would warn
        return None
    names = [name for part in [*targets, *others] for name in part.get("properties", ())]
    if len(set(map(field_name, names))) < len(names) or len({*bases}) < len(bases):
        return None
    return Heir(bases, _joined(others))


def _is_reference(schema: Schema) -> bool:
    return "$ref" in schema and schema.keys() <= ANNOTATIONS | {"$ref"}


def _is_open(schema: Schema) -> bool:
    """Return whether a schema only describes some members of its own, and allows others."""
    return (
        schema.keys() <= _PLAIN
        and schema.get("type", "object") == "object"
        and schema.get("additionalProperties", True) is True
        and {*schema.get("required", ())} <= schema.get("properties", {}).keys()
    )


def _joined(parts: list[Schema]) -> Schema:
    properties = {name: part for each in parts for name, part in each.get("properties", {}).items()}
    required = [name for each in parts for name in each.get("required", ())]
    joined: Schema = {"type": "object", "properties": properties, "required": required}
    return {name: value for name, value in joined.items() if value}

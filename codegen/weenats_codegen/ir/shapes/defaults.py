"""Defaults of optional members that Python can have as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from weenats_codegen.ir.shapes.enumeration import type_of
from weenats_codegen.ir.shapes.grammar import Json, Schema, is_class, key, ref_name


def settle_defaults(shapes: Mapping[str, Schema]) -> None:
    """Keep the defaults that are values of their members, as Python has them."""
    for shape in shapes.values():
        for members in _members(shape):
            for member in members.values():
                if "default" in member:
                    default = member.pop("default")
                    if (found := _python(default, member, shapes)) is not None:
                        member["default"] = found[0]


def _members(shape: Schema) -> Iterator[dict[str, Schema]]:
    for part in (shape, *shape.get("allOf", ())):
        yield part.get("properties", {})


def _python(default: Json, shape: Schema, shapes: Mapping[str, Schema]) -> tuple[Json] | None:
    """Return a default as the type of its member has it, None if the type cannot have it."""
    while name := ref_name(shape):
        shape = shapes[name]
    if "anyOf" in shape:
        found = (_python(default, branch, shapes) for branch in shape["anyOf"])
        return next((each for each in found if each is not None), None)
    if "enum" in shape:
        is_value = key(default) in map(key, shape["enum"])
        return (default,) if is_value and "x-enum-varnames" not in shape else None
    if "customTypePath" in shape or is_class(shape):
        return None
    kinds = shape.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind == type_of(default) or (kind == "number" and type_of(default) == "integer"):
            if kind == "integer":
                return (int(default),)
            return (default,) if not default or not isinstance(default, list | dict) else None
    return None

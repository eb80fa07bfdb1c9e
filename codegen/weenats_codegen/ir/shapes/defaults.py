"""Defaults of optional members that Python can have as they are."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from weenats_codegen.ir.shapes.enumeration import type_of
from weenats_codegen.ir.shapes.grammar import Json, Schema, key, ref_name, types_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def settle_defaults(shapes: Mapping[str, Schema]) -> None:
    """Keep the defaults that are values of their members, as Python has them."""
    for shape in shapes.values():
        for members in _members(shape):
            for member in members.values():
                if "default" in member:
                    default = member.pop("default")
                    is_container = isinstance(default, list | dict)
                    found = _empty if is_container else _scalar
                    if (value := found(default, member, shapes)) is not None:
                        member["default"] = value[0]


def _members(shape: Schema) -> Iterator[dict[str, Schema]]:
    for part in (shape, *shape.get("allOf", ())):
        yield part.get("properties", {})


def _empty(default: Json, member: Schema, _: Mapping[str, Schema]) -> tuple[Json] | None:
    """Return an empty list or map, if the type of the member is written out; None for others."""
    branches = member.get("anyOf", [member])
    is_written = any(
        type_of(default) in types_of(branch)
        and branch.keys() & {"items", "additionalProperties"}
        and "prefixItems" not in branch
        for branch in branches
    )
    return (default,) if is_written and not default else None


def _scalar(default: Json, member: Schema, shapes: Mapping[str, Schema]) -> tuple[Json] | None:
    """Return a default as the type of its member has it, None if the type cannot have it."""
    shape = member
    while name := ref_name(shape):
        shape = shapes[name]
    if "anyOf" in shape:
        found = (_scalar(default, branch, shapes) for branch in shape["anyOf"])
        return next((each for each in found if each is not None), None)
    if "enum" in shape:
        is_value = key(default) in map(key, shape["enum"])
        return (default,) if is_value and "x-enum-varnames" not in shape else None
    kinds = () if "customTypePath" in shape else types_of(shape)
    if type_of(default) == "integer" and "integer" in kinds:
        return (int(default) if isinstance(default, float) else default,)
    if isinstance(default, int | float) and type_of(default) == "integer" and "number" in kinds:
        number = float(default)
        return (number,) if Decimal(repr(number)) == default else None
    return (default,) if type_of(default) in kinds else None

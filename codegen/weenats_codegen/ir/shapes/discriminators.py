"""Unions that pydantic can choose a branch of by one member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats_codegen.ir.shapes.grammar import (
    DISCRIMINATOR,
    NULL,
    Json,
    Schema,
    is_class,
    key,
    ref_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_AMBIGUOUS: Final = frozenset(map(key, (0, 1)))


def settle_discriminators(shapes: Mapping[str, Schema]) -> None:
    """Keep the discriminators that pydantic can use; without one, it tries every branch."""
    for shape in shapes.values():
        if "discriminator" in shape:
            tag = shape.pop("discriminator")["propertyName"]
            if _is_usable(tag, shape, shapes):
                shape[DISCRIMINATOR] = tag


def _is_usable(tag: str, union: Schema, shapes: Mapping[str, Schema]) -> bool:
    """Return whether every branch is a class with its own values of a required member."""
    seen: set[str] = set()
    kinds: set[type] = set()
    for branch in union["anyOf"]:
        if branch == NULL:
            continue
        values = _tag_values(tag, _followed(branch, shapes), shapes)
        texts = set(map(key, values))
        kinds |= set(map(type, values))
        if not values or seen & texts:
            return False
        seen |= texts
    # Booleans, 0 and 1 have a validator that pydantic does not allow in discriminators.
    return len(kinds) == 1 and kinds <= {str, int} and not seen & _AMBIGUOUS


def _tag_values(tag: str, shape: Schema, shapes: Mapping[str, Schema]) -> list[Json]:
    """Return the values of a required member of a class, [] if it is none or allows others."""
    if not is_class(shape):
        return []
    if "allOf" in shape:
        parts: list[Schema] = shape["allOf"]
        found: list[list[Json]] = [
            _tag_values(tag, _followed(part, shapes), shapes) for part in parts
        ]
        return [value for values in found for value in values]
    if tag not in shape.get("required", ()):
        return []
    member: Schema = shape["properties"][tag]
    values: list[Json] = _followed(member, shapes).get("enum", [])
    return values


def _followed(shape: Schema, shapes: Mapping[str, Schema]) -> Schema:
    """Return what a reference leads to."""
    while name := ref_name(shape):
        shape = shapes[name]
    return shape

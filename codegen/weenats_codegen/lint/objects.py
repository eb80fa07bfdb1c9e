"""Schemas of objects: which members there are, and no two with one name in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats_codegen.naming import field_name
from weenats_codegen.parser.diagnostics import joined, shown
from weenats_codegen.parser.syntax import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

_OF_MAPS: Final = frozenset({
    "patternProperties", "propertyNames", "minProperties", "maxProperties",
})  # fmt: skip


def check_object(pointer: str, schema: dict[str, JsonValue]) -> Iterator[Flaw]:
    """Yield what is wrong with the members of an object."""
    properties = schema.get("properties")
    names = properties if isinstance(properties, dict) else {}
    yield from _names(joined(pointer, "properties"), list(names))
    if "allOf" not in schema:
        yield from _required(pointer, schema, names)
    if schema.get("type") != "object" and "allOf" not in schema:
        for key in sorted(schema.keys() & _OF_MAPS):
            yield Flaw(
                joined(pointer, key),
                f"models do not enforce {key} of what may be null",
                "move the object to $defs, and write an anyOf of a $ref to it and null",
            )
    if names:
        for key in sorted(_OF_MAPS):
            if key in schema:
                yield Flaw(
                    joined(pointer, key),
                    f"models do not enforce {key} beside properties",
                    "move such members into an object of their own",
                )
    elif "patternProperties" in schema:
        if schema.get("additionalProperties") is not False:
            yield Flaw(
                joined(pointer, "patternProperties"),
                "models do not take other members beside patternProperties",
                "add additionalProperties: false",
            )
    elif "additionalProperties" not in schema and "allOf" not in schema:
        yield Flaw(
            pointer,
            "does not say what members the object has",
            "add properties, or additionalProperties: false if it has none",
        )


def _required(
    pointer: str, schema: dict[str, JsonValue], names: dict[str, JsonValue]
) -> Iterator[Flaw]:
    required = schema.get("required")
    for index, name in enumerate(required if isinstance(required, list) else ()):
        if isinstance(name, str) and name not in names:
            yield Flaw(
                joined(pointer, "required", index),
                f"{shown(name)} is required and no property",
                "add it to properties, or correct the name",
            )


def _names(pointer: str, names: list[str]) -> Iterator[Flaw]:
    taken: dict[str, str] = {}
    for name in names:
        at = joined(pointer, name)
        if not name.strip() or not name.isprintable():
            yield Flaw(at, f"{shown(name)} is no valid name", "use visible characters")
            continue
        other = taken.setdefault(field_name(name), name)
        if other != name:
            yield Flaw(
                at,
                f"becomes {field_name(name)} in Python, and so does {shown(other)}",
                "rename one of the two",
            )

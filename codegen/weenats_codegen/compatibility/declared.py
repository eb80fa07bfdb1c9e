"""Which parts of documents a schema declares: what is not declared, nobody has written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats_codegen.ir.bundle import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import JsonValue

    from weenats_codegen.compatibility.reasons import Steps
    from weenats_codegen.ir.bundle import Schema

_SAME: Final = ("if", "then", "else")
_SAME_LISTS: Final = ("allOf", "anyOf", "oneOf")
_OTHERS: Final = ("additionalProperties", "unevaluatedProperties")
"""The keywords for the members that no other keyword declares."""


def is_declared(definitions: Mapping[str, JsonValue], name: str, instance: Steps) -> bool:
    """Return whether a schema declares a part of a document, or says nothing of any member.

    An object with declared members may have further ones unless it is closed. Programs do not write
    these; but where no member has a name, as in a mapping, they write whatever is allowed.

    Args:
        definitions: The definitions of a bundle.
        name: The definition of the document.
        instance: The way to the part.
    """
    schemas: list[JsonValue] = [definitions[name]]
    for step in instance:
        parts = _parts(definitions, schemas)
        if isinstance(step, int):
            schemas = [each for part in parts for each in _items(part)]
            continue
        named = [part["properties"] for part in parts if part.get("properties")]
        schemas = [each[step] for each in named if isinstance(each, dict) and step in each]
        schemas = schemas or [each for part in parts for each in _unnamed(part)]
        if named and not schemas:
            return False
    return True


def _parts(definitions: Mapping[str, JsonValue], schemas: Iterable[JsonValue]) -> list[Schema]:
    """Return the schemas with all that they apply to the same value."""
    found: dict[int, Schema] = {}
    pending = list(schemas)
    while pending:
        schema = pending.pop()
        if not isinstance(schema, dict) or id(schema) in found:
            continue
        found[id(schema)] = schema
        if isinstance(ref := schema.get("$ref"), str):
            pending.append(definitions.get(ref.removeprefix(PREFIX)))
        pending += [schema[key] for key in _SAME if key in schema]
        for key in _SAME_LISTS:
            if isinstance(branches := schema.get(key), list):
                pending += branches
        if isinstance(dependent := schema.get("dependentSchemas"), dict):
            pending += dependent.values()
    return list(found.values())


def _unnamed(schema: Schema) -> Iterable[JsonValue]:
    """Return the schemas of members whose names are not declared one by one."""
    if isinstance(patterns := schema.get("patternProperties"), dict):
        yield from patterns.values()
    yield from (schema[key] for key in _OTHERS if isinstance(schema.get(key), dict))


def _items(schema: Schema) -> Iterable[JsonValue]:
    if isinstance(first := schema.get("prefixItems"), list):
        yield from first
    yield from (schema[key] for key in ("items", "unevaluatedItems") if key in schema)

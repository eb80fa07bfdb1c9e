"""Which parts of documents a schema declares: what is not declared, nobody has written."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

from weenats_codegen.compatibility.formula.oracle import matches
from weenats_codegen.ir.bundle import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
        found = _items(parts) if isinstance(step, int) else _member(parts, step)
        if found is None:
            return False
        schemas = found
    return True


def without_undeclared(
    new: Mapping[str, JsonValue],
    name: str,
    old: Mapping[str, JsonValue],
    other: str,
    document: JsonValue,
) -> dict[str, JsonValue]:
    """Return definitions that allow any value of the members that an old schema does not declare.

    Args:
        new: The definitions.
        name: The definition of the document.
        old: The definitions of the old bundle.
        other: The old definition of the document.
        document: The document: members of its objects, and of those within it, are looked at.
    """
    result = copy.deepcopy(dict(new))
    pending: list[tuple[JsonValue, list[JsonValue], list[JsonValue]]] = [
        (document, [result[name]], [old[other]])
    ]
    while pending:
        value, schemas, others = pending.pop()
        parts, declaring = _parts(result, schemas), _parts(old, others)
        if isinstance(value, list):
            inner = _items(parts), _items(declaring)
            pending += [(item, *inner) for item in value]
        elif isinstance(value, dict):
            for members in (part.get("properties") for part in parts):
                if isinstance(members, dict):
                    undeclared = [each for each in members if _member(declaring, each) is None]
                    members.update(dict.fromkeys(undeclared, True))
            for key, item in value.items():
                if (declared := _member(declaring, key)) is not None:
                    pending.append((item, _member(parts, key) or [], declared))
    return result


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


def _member(parts: Sequence[Schema], name: str) -> list[JsonValue] | None:
    """Return the schemas of a member, None if only others are declared."""
    named = [part["properties"] for part in parts if part.get("properties")]
    found = [each[name] for each in named if isinstance(each, dict) and name in each]
    found = found or [each for part in parts for each in _unnamed(part, name)]
    return None if named and not found else found


def _unnamed(schema: Schema, name: str) -> Iterable[JsonValue]:
    """Return the schemas of a member whose name is not declared by itself."""
    if isinstance(patterns := schema.get("patternProperties"), dict):
        yield from (part for pattern, part in patterns.items() if matches(pattern, name))
    yield from (schema[key] for key in _OTHERS if isinstance(schema.get(key), dict))


def _items(parts: Sequence[Schema]) -> list[JsonValue]:
    found: list[JsonValue] = []
    for part in parts:
        if isinstance(first := part.get("prefixItems"), list):
            found += first
        found += [part[key] for key in ("items", "unevaluatedItems") if key in part]
    return found

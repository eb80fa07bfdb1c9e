"""Which parts of documents a schema declares: programs write no others."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

from weenats_codegen.compatibility.formula.oracle import matches
from weenats_codegen.ir.bundle import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic import JsonValue

    from weenats_codegen.compatibility.reasons import Steps
    from weenats_codegen.ir.bundle import Schema

    _Pair = tuple[list[JsonValue], list[JsonValue]]
    """The schemas of a part of documents: new ones, and those that declare it."""

_SAME: Final = ("if", "then", "else")
_SAME_LISTS: Final = ("allOf", "anyOf", "oneOf")
_OTHERS: Final = ("additionalProperties", "unevaluatedProperties")
"""The keywords for the members that no other keyword declares."""
_ITEMS: Final = ("items", "unevaluatedItems")
_NESTED: Final = frozenset({"properties", "patternProperties", "prefixItems", *_OTHERS, *_ITEMS})
_MAX_PAIRS: Final = 10_000
"""How many objects and arrays are looked at; there may be very many in overlapping schemas."""


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
    new: Mapping[str, JsonValue], name: str, old: Mapping[str, JsonValue], other: str
) -> dict[str, JsonValue]:
    """Return definitions that allow any value of members which an old schema declares nowhere.

    Args:
        new: The definitions.
        name: The definition of the documents.
        old: The definitions of the old bundle.
        other: The old definition of the documents.
    """
    result = copy.deepcopy(dict(new))
    holders: dict[int, Schema] = {}
    known: set[tuple[int, str]] = set()
    pending: list[_Pair] = [([result[name]], [old[other]])]
    passed: set[tuple[tuple[int, ...], ...]] = set()
    while pending:
        schemas, others = pending.pop()
        parts, declaring = _parts(result, schemas), _parts(old, others)
        key = tuple(
            tuple(id(part) for part in side if part.keys() != {"$ref"})
            for side in (parts, declaring)
        )
        if key in passed or all(map(_NESTED.isdisjoint, parts)):
            continue
        passed.add(key)
        if len(passed) > _MAX_PAIRS:
            return dict(new)
        for members in map(_members, parts):
            holders[id(members)] = members
            known.update(
                (id(members), each) for each in members if _member(declaring, each) is not None
            )
        pending += _inner(parts, declaring)
    for members in holders.values():
        undeclared = [each for each in members if (id(members), each) not in known]
        members.update(dict.fromkeys(undeclared, True))
    return result


def _inner(parts: Sequence[Schema], declaring: Sequence[Schema]) -> Iterator[_Pair]:
    """Yield the schemas of items and members together with those that declare them."""
    names = {each for part in (*parts, *declaring) for each in _members(part)}
    for name in sorted(names):
        schemas, others = _member(parts, name), _member(declaring, name)
        if schemas and others is not None:
            yield schemas, others
    for schemas, others in (
        (_items(parts), _items(declaring)),
        tuple([each for part in side for each in _unnamed(part)] for side in (parts, declaring)),
    ):
        if schemas:
            yield schemas, others


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


def _members(schema: Schema) -> Schema:
    members = schema.get("properties")
    return members if isinstance(members, dict) else {}


def _member(parts: Sequence[Schema], name: str) -> list[JsonValue] | None:
    """Return the schemas of a member, None if only others are declared."""
    named = [members for part in parts if (members := _members(part))]
    found = [members[name] for members in named if name in members]
    found = found or [each for part in parts for each in _unnamed(part, name)]
    return None if named and not found else found


def _unnamed(schema: Schema, name: str | None = None) -> Iterable[JsonValue]:
    """Return the schemas of members, or of one, whose names are not declared by themselves."""
    if isinstance(patterns := schema.get("patternProperties"), dict):
        for pattern, part in patterns.items():
            if name is None or matches(pattern, name):
                yield part
    yield from (schema[key] for key in _OTHERS if isinstance(schema.get(key), dict))


def _items(parts: Sequence[Schema]) -> list[JsonValue]:
    found: list[JsonValue] = []
    for part in parts:
        if isinstance(first := part.get("prefixItems"), list):
            found += first
        found += [part[key] for key in _ITEMS if key in part]
    return found

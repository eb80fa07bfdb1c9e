"""oneOf and allOf: branches that exclude one another, and parts that add up."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.lint.references import resolved
from weenats_codegen.lint.values import types_of
from weenats_codegen.parser.diagnostics import joined, shown
from weenats_codegen.parser.syntax import Flaw
from weenats_codegen.parser.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from weenats_codegen.parser.source import Document, Source
    from weenats_codegen.parser.walk import Place

Schema = dict[str, "JsonValue"]

_TAG_REMEDY: Final = "give each branch a required member with a const of its own, or use anyOf"


class _Branch(NamedTuple):
    """What tells one branch of a oneOf from another."""

    types: frozenset[str]
    values: frozenset[str]  # of text; empty: any
    tags: dict[str, frozenset[str]]  # of objects: required members that have certain values only


def check_unions(source: Source, document: Document, place: Place) -> Iterator[Flaw]:
    """Yield what models cannot tell apart or combine, in a schema and all schemas inside it."""
    for pointer, schema in walk(place.value, place.pointer):
        if not isinstance(schema, dict):
            continue
        for key in ("oneOf", "anyOf"):
            yield from _nested(joined(pointer, key), schema.get(key))
        if "discriminator" in schema:
            yield from _discriminator(source, document, pointer, schema)
        one_of, all_of = schema.get("oneOf"), schema.get("allOf")
        if isinstance(one_of, list):
            branches = [_branch(source, document, branch) for branch in one_of]
            for (first, one), (second, other) in combinations(enumerate(branches), 2):
                if one and other and not _exclusive(one, other):
                    yield Flaw(
                        joined(pointer, "oneOf", second),
                        f"one value may fit branch {first} and branch {second}",
                        _TAG_REMEDY,
                    )
        if isinstance(all_of, list):
            yield from _all_of(source, document, pointer, schema, all_of)


def _nested(pointer: str, branches: JsonValue) -> Iterator[Flaw]:
    for index, branch in enumerate(branches if isinstance(branches, list) else ()):
        if isinstance(branch, dict) and branch.keys() & {"oneOf", "anyOf"}:
            message = "is a choice within a choice"
            yield Flaw(joined(pointer, index), message, "list its branches beside the others")
        if isinstance(branch, dict) and isinstance(branch.get("type"), list):
            at = joined(pointer, index, "type")
            yield Flaw(at, "names several types in one branch", "write a branch for each type")


def _branch(source: Source, document: Document, schema: JsonValue) -> _Branch | None:
    home, schema = resolved(source, document, schema)
    if not isinstance(schema, dict):
        return None  # said elsewhere
    if "oneOf" in schema or "anyOf" in schema:
        return _Branch(frozenset({"any"}), frozenset(), {})
    values = _texts(schema)
    types = frozenset({"object"}) if "allOf" in schema else types_of(schema)
    if "type" not in schema and values:
        options = schema.get("enum")
        has_null = isinstance(options, list) and None in options
        types = frozenset({"string", "null"}) if has_null else frozenset({"string"})
    required, properties = schema.get("required"), schema.get("properties")
    tags: dict[str, frozenset[str]] = {}
    if isinstance(required, list) and isinstance(properties, dict):
        for name, part in properties.items():
            found = resolved(source, home, part)[1]
            texts = _texts(found) if isinstance(found, dict) else frozenset[str]()
            if name in required and texts:
                tags[name] = texts
    return _Branch(types, values, tags)


def _texts(schema: Schema) -> frozenset[str]:
    """Return the texts that a schema allows; empty when it allows others, or more than texts."""
    options = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(options, list):
        return frozenset()
    return frozenset(option for option in options if isinstance(option, str))


def _exclusive(one: _Branch, other: _Branch) -> bool:
    if "any" in one.types | other.types:
        return False
    shared = _wide(one.types) & _wide(other.types)
    if shared == frozenset({"string"}):
        return bool(one.values and other.values) and not one.values & other.values
    if shared == frozenset({"object"}):
        return any(not one.tags[tag] & other.tags[tag] for tag in one.tags.keys() & other.tags)
    return not shared


def _wide(types: frozenset[str]) -> frozenset[str]:
    return types | {"integer"} if "number" in types else types


def _discriminator(
    source: Source, document: Document, pointer: str, schema: Schema
) -> Iterator[Flaw]:
    at = joined(pointer, "discriminator")
    discriminator = schema["discriminator"]
    name = discriminator.get("propertyName") if isinstance(discriminator, dict) else None
    if not isinstance(discriminator, dict) or not isinstance(name, str) or len(discriminator) > 1:
        yield Flaw(at, "is no discriminator", "write {propertyName: NAME} and nothing else")
        return
    for key in ("oneOf", "anyOf"):
        branches = schema.get(key)
        for index, part in enumerate(branches if isinstance(branches, list) else ()):
            branch = _branch(source, document, part)
            if branch and name not in branch.tags:
                yield Flaw(
                    joined(pointer, key, index),
                    f"does not require {shown(name)} with a const, as the discriminator says",
                    f"require {shown(name)} and give it a const of its own",
                )


def _all_of(
    source: Source, document: Document, pointer: str, schema: Schema, parts: list[JsonValue]
) -> Iterator[Flaw]:
    own = schema.get("properties")
    seen: set[str] = set(own) if isinstance(own, dict) else set()
    for index, part in enumerate(parts):
        at = joined(pointer, "allOf", index)
        found = resolved(source, document, part)[1]
        if not isinstance(found, dict):
            continue  # said elsewhere
        properties = found.get("properties")
        if not isinstance(properties, dict) or found.get("type") != "object" or "allOf" in found:
            yield Flaw(at, "is no mere object with properties", "write one schema for all")
            continue
        for name in sorted(seen & properties.keys()):
            yield Flaw(at, f"describes the member {shown(name)} again", "describe it once")
        seen |= properties.keys()
        if found.get("additionalProperties", True) is not True:
            yield Flaw(
                at,
                "allows no members but its own, so nothing can be added to it",
                "leave additionalProperties out there",
            )
    if schema.get("additionalProperties", True) is not True:
        yield Flaw(
            joined(pointer, "additionalProperties"),
            "does not see the members of the allOf",
            "write one schema for all",
        )
    required = schema.get("required")
    for index, wanted in enumerate(required if isinstance(required, list) else ()):
        if isinstance(wanted, str) and wanted not in seen:
            yield Flaw(
                joined(pointer, "required", index),
                f"{shown(wanted)} is required and no property",
                "add it to properties, or correct the name",
            )

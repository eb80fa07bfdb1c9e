"""Where schemas stand: in a service.yaml, and inside one another. Shape is not checked here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.parser.diagnostics import joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue


class Place(NamedTuple):
    """A schema, or what stands where one should, and its JSON pointer."""

    pointer: str
    value: JsonValue


OPERATION_SCHEMAS: Final = {
    "errors": ("details",),
    "commands": ("payload", "result"),
    "queries": ("parameters", "result"),
    "events": ("data",),
}
"""The members of service.yaml that hold named things, and which of their members are schemas."""

ONE: Final = ("items", "additionalProperties", "propertyNames", "not", "if", "then", "else",
              "contains", "unevaluatedItems", "unevaluatedProperties", "contentSchema")  # fmt: skip
MANY: Final = ("oneOf", "anyOf", "allOf", "prefixItems")
NAMED: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def contract_schemas(contract: JsonValue) -> Iterator[Place]:
    """Yield the outermost schemas of a service.yaml: its own $defs first, then in its order."""
    if not isinstance(contract, dict):
        return
    yield from _members(contract, "$defs", "")
    aggregate = contract.get("aggregate")
    if isinstance(aggregate, dict) and "state" in aggregate:
        yield Place("/aggregate/state", aggregate["state"])
    for section, keys in OPERATION_SCHEMAS.items():
        for pointer, thing in _members(contract, section, ""):
            for key in keys:
                if isinstance(thing, dict) and key in thing:
                    yield Place(joined(pointer, key), thing[key])


def parts(schema: JsonValue, pointer: str) -> Iterator[Place]:
    """Yield the schemas directly inside a schema; what stands in an enum or example is none."""
    if not isinstance(schema, dict):
        return
    for key in ONE:
        if key in schema:
            yield Place(joined(pointer, key), schema[key])
    for key in MANY:
        branches = schema.get(key)
        if isinstance(branches, list):
            for index, branch in enumerate(branches):
                yield Place(joined(pointer, key, index), branch)
    for key in NAMED:
        yield from _members(schema, key, pointer)


def walk(schema: JsonValue, pointer: str) -> Iterator[Place]:
    """Yield a schema and every schema inside it."""
    yield Place(pointer, schema)
    for place in parts(schema, pointer):
        yield from walk(place.value, place.pointer)


def references(schema: JsonValue, pointer: str) -> Iterator[Place]:
    """Yield every `$ref` in a schema: where it stands and what stands there."""
    for place in walk(schema, pointer):
        if isinstance(place.value, dict) and "$ref" in place.value:
            yield Place(joined(place.pointer, "$ref"), place.value["$ref"])


def _members(holder: dict[str, JsonValue], key: str, pointer: str) -> Iterator[Place]:
    named = holder.get(key)
    if isinstance(named, dict):
        for name, value in named.items():
            yield Place(joined(pointer, key, name), value)

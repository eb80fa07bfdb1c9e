"""All schemas of a contract as one flat JSON Schema 2020-12: what shapes and checks are made of."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pydantic import JsonValue

    from weenats_codegen.parser.diagnostics import Diagnostic, Location

Schema = dict[str, "JsonValue"]

PREFIX: Final = "#/$defs/"
"""Every `$ref` of a bundle is this and the name of a definition."""
ONE: Final = frozenset({
    "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then",
    "unevaluatedItems", "unevaluatedProperties",
})  # fmt: skip
"""The keywords of a bundle whose value is a schema."""
MANY: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
"""The keywords of a bundle whose value is a list of schemas."""
NAMED: Final = frozenset({"dependentSchemas", "patternProperties", "properties"})
"""The keywords of a bundle whose value is a mapping of schemas."""
ASSERTED_FORMATS: Final = frozenset({
    "date", "time", "date-time", "duration", "uuid", "email", "hostname", "ipv4", "ipv6", "uri",
    "uri-reference", "regex", "json-pointer",
})  # fmt: skip
"""The formats that values must have; other formats are annotations."""
DOCUMENTATION: Final = frozenset({
    "title", "description", "examples", "default", "deprecated", "readOnly", "writeOnly",
    "discriminator", "contentEncoding", "contentMediaType", "x-enum-varnames", "x-python-type",
})  # fmt: skip
"""The keywords of a bundle that allow and refuse no value."""
_DESCRIPTIONS: Final = frozenset({"title", "description", "examples", "deprecated"})


class External(NamedTuple):
    """A schema of a library.

    Attributes:
        package: The Python package of the library.
        name: The name of the definition there.
    """

    package: str
    name: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """Every schema of a contract and every target of a `$ref`, by name.

    The definitions mean exactly what the schemas in the files mean, whatever their dialect, written
    in JSON Schema 2020-12. Their keywords are those of `ONE`, `MANY`, `NAMED` and `DOCUMENTATION`,
    `$ref` (always `#/$defs/NAME` of a definition; others may stand beside it) and type, enum,
    const, format, pattern, bounds, required, uniqueItems, dependentRequired, minContains,
    maxContains. A definition, and every schema inside it, may be a boolean. Inline schemas remain
    where they are.

    Attributes:
        definitions: The schemas by name, sorted. Names are valid names of Python classes.
        locations: The place of each definition in the files.
        names: The name of the definition that each schema of the contract has, by its place in
            service.yaml (`/commands/add/payload`, `/aggregates/receipt/state`).
        taken: Names of the package that neither definitions nor other classes may have.
        diagnostics: What is wrong with the schemas and references; if there are any, definitions
            may be missing or incomplete.
        external: The definitions that libraries have, by the names that they have here.
    """

    definitions: dict[str, JsonValue]
    locations: dict[str, Location]
    names: dict[Location, str]
    taken: frozenset[str] = frozenset()
    diagnostics: tuple[Diagnostic, ...] = ()
    external: dict[str, External] = field(default_factory=dict[str, External])

    @property
    def roots(self) -> tuple[str, ...]:
        """The names of the definitions that messages consist of, sorted."""
        return tuple(sorted(set(self.names.values())))

    @property
    def shared(self) -> dict[str, External]:
        """The definitions of libraries that messages or definitions of its own refer to."""
        named = set(self.names.values())
        for name, definition in self.definitions.items():
            if name not in self.external:
                named.update(references(definition))
        return {name: origin for name, origin in self.external.items() if name in named}

    @property
    def schema(self) -> Schema:
        """The definitions as one schema."""
        return {"$defs": dict(self.definitions)}


def subschemas(
    schema: Mapping[str, JsonValue],
) -> Iterator[tuple[tuple[str | int, ...], JsonValue]]:
    """Yield the schemas directly inside a schema of a bundle, each with the path to it."""
    for key, value in schema.items():
        if key in ONE:
            yield (key,), value
        elif key in MANY and isinstance(value, list):
            for index, part in enumerate(value):
                yield (key, index), part
        elif key in NAMED and isinstance(value, dict):
            for name, part in value.items():
                yield (key, name), part


def map_schemas(schema: JsonValue, change: Callable[[Schema], Schema]) -> JsonValue:
    """Return a schema of a bundle with a function applied to it and to every schema inside it.

    Args:
        schema: The schema.
        change: Called with each schema before those inside it.
    """
    if not isinstance(schema, dict):
        return schema
    result: Schema = {}
    for key, value in change(schema).items():
        if key in ONE:
            result[key] = map_schemas(value, change)
        elif key in MANY and isinstance(value, list):
            result[key] = [map_schemas(part, change) for part in value]
        elif key in NAMED and isinstance(value, dict):
            result[key] = {name: map_schemas(part, change) for name, part in value.items()}
        else:
            result[key] = value
    return result


def without_descriptions(bundle: Bundle) -> Schema:
    """Return the definitions of a bundle without what is only text for people."""
    return {
        name: map_schemas(
            schema,
            lambda part: {key: part[key] for key in part if key not in _DESCRIPTIONS},
        )
        for name, schema in bundle.definitions.items()
    }


def references(schema: JsonValue) -> Iterator[str]:
    """Yield the names of the definitions that a schema refers to, repetitions included."""
    for part in _objects(schema):
        if isinstance(ref := part.get("$ref"), str):
            yield ref.removeprefix(PREFIX)


def slots(schema: JsonValue) -> Iterator[tuple[Schema, str, str]]:
    """Yield the references in a schema: the mapping that has one, its key there, its definition."""
    for part in _objects(schema):
        discriminator = part.get("discriminator")
        mapping = discriminator.get("mapping") if isinstance(discriminator, dict) else None
        for name, ref in mapping.items() if isinstance(mapping, dict) else ():
            yield cast("Schema", mapping), name, str(ref).removeprefix(PREFIX)
        if isinstance(ref := part.get("$ref"), str):
            yield part, "$ref", ref.removeprefix(PREFIX)


def _objects(schema: JsonValue) -> Iterator[Schema]:
    """Yield a schema and all inside it, without booleans."""
    pending = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield part
            pending += [inner for _, inner in subschemas(part)]


def reachable(definitions: Mapping[str, JsonValue], roots: Iterable[str]) -> list[str]:
    """Return the names of some definitions and of all that they refer to, sorted.

    Args:
        definitions: The definitions of a bundle.
        roots: The names of the first ones.
    """
    found: set[str] = set()
    pending = list(roots)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += references(definitions[name])
    return sorted(found)


def judge_text(bundle: Bundle, roots: Iterable[str]) -> str:
    """Return the schemas that jsonschema-rs checks values with, as compact JSON.

    The text is deterministic and does not change with documentation.

    Args:
        bundle: The schemas.
        roots: The definitions that values are checked against; `{"$defs": ...}` has them and all
            that they refer to.
    """
    definitions: Schema = {
        name: judged(bundle.definitions[name]) for name in reachable(bundle.definitions, roots)
    }
    return json.dumps({"$defs": definitions}, separators=(",", ":"), ensure_ascii=True)


def judged(schema: JsonValue) -> JsonValue:
    """Return a schema of a bundle without documentation, and with the formats that are asserted.

    Args:
        schema: The schema.
    """
    return map_schemas(
        schema,
        lambda part: {
            key: value
            for key, value in part.items()
            if key not in DOCUMENTATION and (key != "format" or value in ASSERTED_FORMATS)
        },
    )

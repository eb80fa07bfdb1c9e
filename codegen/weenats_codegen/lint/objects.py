"""Schemas of objects: which members there are, and that no two have the same name in Python."""

from collections.abc import Container, Iterator

from weenats_codegen.naming import field_name
from weenats_codegen.parser.diagnostics import Diagnostic, quoted
from weenats_codegen.parser.keywords import MAP
from weenats_codegen.parser.walk import Node


def check_object(schema: Node) -> Iterator[Diagnostic]:
    """Yield what is wrong with the members of an object."""
    has_all_of = "allOf" in schema.mapping
    properties = schema.get("properties")
    yield from _check_names(properties)
    if not has_all_of:
        yield from check_required(schema, properties.mapping)
    unenforced = sorted(schema.mapping.keys() & MAP)
    if schema.mapping.get("type") != "object" and not has_all_of:
        for key in unenforced:
            yield schema.diagnostic(
                f"models do not enforce {key} of a nullable object",
                "move the object to $defs, and use an anyOf of a $ref to it and null",
                key,
            )
    if properties.mapping:
        for key in unenforced:
            yield schema.diagnostic(
                f"models do not enforce {key} next to properties",
                "move such members to an object of their own",
                key,
            )
    elif "patternProperties" in schema.mapping:
        if schema.mapping.get("additionalProperties") is not False:
            yield schema.diagnostic(
                "models do not support other members next to patternProperties",
                "add additionalProperties: false",
                "patternProperties",
            )
    elif "additionalProperties" not in schema.mapping and not has_all_of:
        yield schema.diagnostic(
            "has no properties", "add properties, or additionalProperties: false if it has none"
        )


def check_required(schema: Node, properties: Container[str]) -> Iterator[Diagnostic]:
    """Yield required members that are not among the properties of an object."""
    for name in schema.get("required").items:
        if isinstance(name.value, str) and name.value not in properties:
            message = f"{quoted(name.value)} is required but not a property"
            yield name.diagnostic(message, "add it to properties, or correct the name")


def _check_names(properties: Node) -> Iterator[Diagnostic]:
    taken: dict[str, str] = {}
    for name, schema in properties.members.items():
        if not name.strip() or not name.isprintable():
            message = f"{quoted(name)} is not a valid name"
            yield schema.diagnostic(message, "use printable characters")
            continue
        other = taken.setdefault(field_name(name), name)
        if other != name:
            message = f"becomes {field_name(name)} in Python, as does {quoted(other)}"
            yield schema.diagnostic(message, "rename one of them")

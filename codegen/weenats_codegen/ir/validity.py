"""Whether a value matches a schema of a bundle, as services and clients check it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jsonschema_rs

from weenats_codegen.ir.bundle import PREFIX, judged, reachable, references

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats_codegen.ir.bundle import Bundle, Schema


def validator(bundle: Bundle, schema: JsonValue) -> jsonschema_rs.Validator:
    """Return the validator of a schema of a bundle.

    Args:
        bundle: The definitions that the schema refers to.
        schema: A definition, or a schema inside one.
    """
    needed = reachable(bundle.definitions, references(schema))
    definitions: Schema = {name: judged(bundle.definitions[name]) for name in needed}
    found = judged(schema)
    whole: Schema = found if isinstance(found, dict) else ({} if found else {"not": {}})
    if definitions:
        whole = {**whole, "$defs": definitions}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True, offline=True)


def all_definitions_validator(bundle: Bundle) -> jsonschema_rs.Validator:
    """Return one validator for all definitions of a bundle, which is compiled once.

    It takes objects of a member: its name is that of the definition that its value must match.

    Args:
        bundle: The definitions.
    """
    whole: Schema = {
        "properties": {name: {"$ref": f"{PREFIX}{name}"} for name in bundle.definitions},
        "$defs": {name: judged(definition) for name, definition in bundle.definitions.items()},
    }
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True, offline=True)


def refusal(bundle: Bundle, schema: JsonValue, value: JsonValue) -> str | None:
    """Return why a schema refuses a value, None if it does not.

    Args:
        bundle: The definitions that the schema refers to.
        schema: A definition, or a schema inside one.
        value: The value.
    """
    for error in validator(bundle, schema).iter_errors(value):
        place = "".join(f"/{step}" for step in error.instance_path)
        return f"{error.kind.name} refuses it{f' at {place}' if place else ''}"
    return None

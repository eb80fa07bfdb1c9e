"""What jsonschema-rs says: which values schemas, patterns and formats allow."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import jsonschema_rs

from weenats_codegen.ir.bundle import PREFIX, reachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue


def validator(definitions: Mapping[str, JsonValue], name: str) -> jsonschema_rs.Validator:
    """Return the validator of a definition.

    Args:
        definitions: The definitions of a flat bundle.
        name: The name of the definition.
    """
    needed = {each: definitions[each] for each in reachable(definitions, [name])}
    schema = {"$ref": f"{PREFIX}{name}", "$defs": needed}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True)


def validator_of_all(definitions: Mapping[str, JsonValue]) -> jsonschema_rs.Validator:
    """Return one validator for all definitions, which is compiled once.

    It takes objects of a member: its name is that of the definition that its value must match.

    Args:
        definitions: The definitions of a flat bundle.
    """
    schema = {
        "properties": {name: {"$ref": f"{PREFIX}{name}"} for name in definitions},
        "$defs": dict(definitions),
    }
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True)


@lru_cache(maxsize=1024)
def _keyword(name: str, value: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator({name: value}, validate_formats=True)


def matches(pattern: str, text: str) -> bool:
    """Return whether a text matches a pattern.

    Args:
        pattern: The pattern.
        text: The text.
    """
    return _keyword("pattern", pattern).is_valid(text)


def has_format(name: str, text: str) -> bool:
    """Return whether a text has a format.

    Args:
        name: The format.
        text: The text.
    """
    return _keyword("format", name).is_valid(text)

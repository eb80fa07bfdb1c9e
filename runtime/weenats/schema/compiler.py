"""Compilation of JSON Schemas with jsonschema-rs."""

from typing import Any, Final, cast

import jsonschema_rs
from jsonschema_rs import FancyRegexOptions, RegexOptions, Validator

__all__ = ["POINTER", "compiled"]
POINTER: Final = "#/$defs/"
_BACKTRACK_LIMIT: Final = 100_000
"""Steps within one match; a pattern that exceeds them does not match. It takes milliseconds."""


def compiled(schema: dict[str, Any], definitions: dict[str, Any]) -> Validator:
    """Compile a schema, with the definitions that it needs and no others.

    Args:
        schema: the schema.
        definitions: definitions by name, to which its references refer.

    Returns:
        The validator. Patterns are matched in linear time, unless one of them looks around or
        refers back.

    Raises:
        ValueError: the schema is not valid.
    """
    document = {**schema, "$defs": _reachable(schema, definitions)}
    try:
        return _validator(document, RegexOptions())
    except ValueError:
        return _validator(document, FancyRegexOptions(backtrack_limit=_BACKTRACK_LIMIT))


def _validator(schema: dict[str, Any], engine: RegexOptions | FancyRegexOptions) -> Validator:
    return jsonschema_rs.Draft202012Validator(
        schema, validate_formats=True, offline=True, pattern_options=engine
    )


def _reachable(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    unread: list[Any] = [schema]
    while unread:
        part = unread.pop()
        if isinstance(part, list):
            unread += part
        elif isinstance(part, dict):
            members = cast("dict[str, Any]", part)
            unread += members.values()
            reference = members.get("$ref")
            name = reference.removeprefix(POINTER) if isinstance(reference, str) else None
            if name in definitions and name not in found:
                found[name] = definitions[name]
                unread.append(found[name])
    return found

"""Compilation of JSON Schemas with jsonschema-rs."""

from typing import TYPE_CHECKING, Any, Final, cast

import jsonschema_rs
from jsonschema_rs import FancyRegexOptions, RegexOptions, Validator

from weenats.schema.multiple import MultipleOf
from weenats.schema.unique import UniqueItems

if TYPE_CHECKING:
    from jsonschema_rs import KeywordValidator

__all__ = ["POINTER", "compiled"]
POINTER: Final = "#/$defs/"
_KEYWORDS: Final["dict[str, type[KeywordValidator]]"] = {"uniqueItems": UniqueItems}
_FOR_FRACTIONS: Final["dict[str, type[KeywordValidator]]"] = {**_KEYWORDS, "multipleOf": MultipleOf}
_BACKTRACK_LIMIT: Final = 200_000
"""Steps within one match; a pattern that exceeds them does not match. It takes milliseconds."""
_NAMED: Final = frozenset({"$defs", "properties", "patternProperties", "dependentSchemas"})
_VALUES: Final = frozenset({"const", "enum"})


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
        engine = FancyRegexOptions(backtrack_limit=_BACKTRACK_LIMIT)
        return _validator(_with_anchors(document), engine)


def _validator(schema: dict[str, Any], engine: RegexOptions | FancyRegexOptions) -> Validator:
    return jsonschema_rs.Draft202012Validator(
        schema,
        validate_formats=True,
        offline=True,
        pattern_options=engine,
        keywords=_FOR_FRACTIONS if _has_fraction(schema) else _KEYWORDS,
    )


def _has_fraction(schema: dict[str, Any]) -> bool:
    """Return whether some `multipleOf` is not an integer."""
    unread: list[object] = [schema]
    while unread:
        part = unread.pop()
        if isinstance(part, dict):
            members = cast("dict[str, object]", part)
            if isinstance(members.get("multipleOf"), float):
                return True
            unread += members.values()
        elif isinstance(part, list):
            unread += cast("list[object]", part)
    return False


def _with_anchors(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose patterns all begin at the start of the text.

    The engine counts its steps anew for each character that a match may begin at.
    """
    result: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword == "pattern":
            result[keyword] = _anchored(value)
        elif keyword in _NAMED:
            named = _anchored if keyword == "patternProperties" else str
            result[keyword] = {named(name): _inside(part) for name, part in value.items()}
        else:
            result[keyword] = value if keyword in _VALUES else _inside(value)
    return result


def _inside(value: object) -> object:
    """Return what is inside a schema, with anchors if it is a schema."""
    if isinstance(value, dict):
        return _with_anchors(cast("dict[str, Any]", value))
    if isinstance(value, list):
        return [_inside(part) for part in cast("list[object]", value)]
    return value


def _anchored(pattern: str) -> str:
    return rf"^[\s\S]*?(?:{pattern})"


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

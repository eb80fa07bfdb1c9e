"""One schema at a time: valid in its dialect, with patterns that can be matched."""

from collections.abc import Iterator
from functools import cache
from typing import Final

import jsonschema_rs
from pydantic import JsonValue

from weenats_codegen.lint.validation import Violation, schema_violations
from weenats_codegen.parser.diagnostics import Diagnostic, did_you_mean, quoted
from weenats_codegen.parser.dialects import MANY, NAMED, ONE, Dialect
from weenats_codegen.parser.patterns import normalized
from weenats_codegen.parser.resources import Place
from weenats_codegen.parser.walk import Node, Schema

_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
_USE_TYPES: Final = f"use {', '.join(_TYPES)}, or a list of several, each once"
_TYPE_ALIASES: Final = {
    **dict.fromkeys(("date", "datetime", "str", "text", "uuid"), "string"),
    **dict.fromkeys(("decimal", "double", "float"), "number"),
    **dict.fromkeys(("dict", "map", "mapping"), "object"),
    "bool": "boolean",
    "int": "integer",
    "list": "array",
    "none": "null",
}
"""The names of types in other languages."""
_REMEDIES: Final = {
    "minimum": "use {expected} or more",
    "exclusiveMinimum": "use more than {expected}",
    "minItems": "list at least one",
    "uniqueItems": "remove what is there twice",
}
_KINDS: Final = {
    "array": "a list", "boolean": "a boolean", "integer": "a whole number", "number": "a number",
    "object": "a mapping", "string": "a string",
}  # fmt: skip


def check_schema(place: Place) -> Iterator[Diagnostic]:
    """Yield what is wrong with a schema, those inside it excluded."""
    schema, dialect = place.node, place.context.dialect
    if isinstance(schema.value, bool):
        return
    if not isinstance(schema.value, dict):
        yield schema.diagnostic("is not a schema", "use a mapping of JSON Schema keywords")
        return
    yield from _check_valid(schema, dialect)
    if not dialect.hides_siblings(schema.mapping):
        yield from _check_patterns(schema, dialect)
        yield from _check_extensions(schema)


def _check_valid(schema: Node, dialect: Dialect) -> Iterator[Diagnostic]:
    for violation in schema_violations(_shallow(schema.mapping, dialect), dialect.draft):
        keyword = next((step for step in reversed(violation.path) if isinstance(step, str)), "")
        what = f"{keyword} cannot be {quoted(violation.value)}"
        if violation.keyword == "required":
            what = f"{violation.expected} is missing"
        yield schema.diagnostic(
            f"is not valid JSON Schema {dialect.name}: {what}",
            _remedy(violation, keyword, dialect),
            *violation.path,
        )


def _shallow(schema: Schema, dialect: Dialect) -> Schema:
    """Return a schema without those inside it, which are checked on their own."""
    result: Schema = {}
    for key, value in schema.items():
        if key in NAMED and isinstance(value, dict):
            result[key] = {
                name: part
                if key == "dependencies" and isinstance(part, list)
                else _empty(part, dialect)
                for name, part in value.items()
            }
        elif isinstance(value, list) and (key in MANY or key == "items"):
            if key in MANY or not dialect.is_lenient:
                result[key] = [_empty(part, dialect) for part in value]
        elif key in ONE:
            is_flag = isinstance(value, bool) and key.startswith("additional")
            result[key] = value if is_flag or isinstance(value, list) else _empty(value, dialect)
        elif not (dialect.is_lenient and key.startswith("exclusive") and isinstance(value, bool)):
            result[key] = value
    return result


def _empty(part: JsonValue, dialect: Dialect) -> JsonValue:
    is_unknown = isinstance(part, bool) and dialect.draft == jsonschema_rs.Draft4
    return part if is_unknown else {}


def _remedy(violation: Violation, keyword: str, dialect: Dialect) -> str:
    if keyword == "type":
        return _type_remedy(violation.value)
    if violation.keyword == "type":
        kinds = [_KINDS[kind] for kind in violation.expected if kind in _KINDS]
        return f"use {' or '.join(kinds)}"
    default = f"see the keyword in JSON Schema {dialect.name}"
    return _REMEDIES.get(violation.keyword, default).format(expected=violation.expected)


def _type_remedy(value: JsonValue) -> str:
    """Return what to do about an invalid `type`; in a list, about the first invalid one."""
    if value is None:
        return 'use "null", in quotes'
    names = value if isinstance(value, list) else [value]
    wrong = next((name for name in names if name not in _TYPES), None)
    if isinstance(wrong, str):
        name = wrong.lower()
        if name in _TYPE_ALIASES:
            return f"did you mean {_TYPE_ALIASES[name]}?"
        return did_you_mean(name, _TYPES, _USE_TYPES)
    return _USE_TYPES


def _check_patterns(schema: Node, dialect: Dialect) -> Iterator[Diagnostic]:
    if "pattern" in dialect.keywords:
        pattern = schema.get("pattern")
        if isinstance(pattern.value, str):
            yield from _check_pattern(pattern, pattern.value)
    if "patternProperties" in dialect.keywords:
        for name, part in schema.get("patternProperties").members.items():
            yield from _check_pattern(part, name)


def _check_pattern(place: Node, pattern: str) -> Iterator[Diagnostic]:
    meant = normalized(pattern)
    if not _regex_validator().is_valid(meant):
        yield place.diagnostic(
            f"{quoted(pattern)} is not a regular expression",
            "write it as ECMA-262 (JavaScript) defines them",
        )
    elif not _is_matchable(meant):
        yield place.diagnostic(
            f"{quoted(pattern)} is a regular expression that the engine cannot match",
            "write it in another way: some Unicode properties are unknown, and repetitions limited",
        )


@cache
def _regex_validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator({"format": "regex"}, validate_formats=True)


def _is_matchable(pattern: str) -> bool:
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern})
    except ValueError:
        return False
    return True


def _check_extensions(schema: Node) -> Iterator[Diagnostic]:
    """Yield uses of the keywords of weenats that have no effect."""
    if schema.mapping.get("x-python-type", "str") != "str":
        message = f"{quoted(schema.mapping['x-python-type'])} is not a supported type"
        yield schema.diagnostic(message, "use str, which keeps the text", "x-python-type")
    names = schema.mapping.get("x-enum-varnames", [])
    values = schema.mapping.get("enum", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        message = "is not a list of names"
        yield schema.diagnostic(message, "list a name for each value of enum", "x-enum-varnames")
    elif "x-enum-varnames" in schema.mapping and (
        not isinstance(values, list)
        or len(values) != len(names)
        or len({*map(str, names)}) != len(names)
    ):
        yield schema.diagnostic(
            "does not have a different name for each value of enum",
            "list as many names as enum has values",
            "x-enum-varnames",
        )

"""One schema at a time: valid JSON Schema, and nothing in it that the models do not enforce."""

import difflib
from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from weenats_codegen.lint.objects import check_object
from weenats_codegen.lint.text import check_text
from weenats_codegen.lint.validation import schema_errors
from weenats_codegen.lint.values import check_default, check_values, types_of
from weenats_codegen.parser import keywords
from weenats_codegen.parser.diagnostics import Diagnostic, quoted
from weenats_codegen.parser.walk import Node, parts

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_KEYWORD_REMEDY: Final = "see the keyword in JSON Schema 2020-12"
_TYPE_REMEDY: Final = "add a type, or refer to a schema by $ref"
_ENFORCED_TOGETHER: Final = {
    "$ref": frozenset[str](),
    "oneOf": frozenset({"discriminator"}),
    "anyOf": frozenset({"discriminator"}),
    "allOf": keywords.OBJECT | {"type"},
}
_REMEDIES: Final = {
    **dict.fromkeys(("contains", "minContains", "maxContains", "$vocabulary"), "remove it"),
    **dict.fromkeys(
        ("dependentRequired", "dependentSchemas", "dependencies", "if", "then", "else", "not"),
        "describe each case as a branch of a oneOf",
    ),
    **dict.fromkeys(("prefixItems", "additionalItems"), "use an object with named members instead"),
    **dict.fromkeys(("$id", "id"), "remove it: files are identified by their paths"),
    **dict.fromkeys(("$dynamicRef", "$recursiveRef"), "use $ref"),
    **dict.fromkeys(("$anchor", "$dynamicAnchor", "$recursiveAnchor"), "refer to '#/$defs/NAME'"),
    "unevaluatedProperties": "use additionalProperties: false",
    "unevaluatedItems": "use items",
    "uniqueItems": "remove it, and let the handler refuse duplicates",
    "definitions": "rename it to $defs",
    "nullable": "add null to the type",
    "example": "use examples",
}
"""What to do about keywords that are not supported."""
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
_NAMED: Final = frozenset({"", "properties", "$defs"})
"""The holders of schemas that have names; others are part of another type."""


def check_valid(schema: Node) -> Iterator[Diagnostic]:
    """Yield what makes an outermost schema invalid JSON Schema."""
    if not isinstance(schema.value, dict):
        return  # check_schema reports it
    for error in schema_errors(schema.value):
        keyword = next((step for step in reversed(error.path) if isinstance(step, str)), "")
        if error.expected == ["object", "boolean"]:
            continue  # a part that is not a schema: check_schema reports it
        yield schema.diagnostic(
            f"is not valid JSON Schema: {keyword} cannot be {quoted(error.value)}",
            _type_remedy(error.value) if keyword == "type" else _KEYWORD_REMEDY,
            *error.path,
        )


def check_schema(schema: Node, holder: str = "", *, is_file: bool = False) -> Iterator[Diagnostic]:
    """Yield what is wrong with a schema and with every schema inside it.

    Args:
        schema: The schema.
        holder: The keyword of another schema that it belongs to; "" for an outermost schema.
        is_file: Whether it is the content of a file.
    """
    if isinstance(schema.value, bool):
        yield schema.diagnostic(f"is the boolean schema {quoted(schema.value)}", _TYPE_REMEDY)
        return
    if not isinstance(schema.value, dict):
        yield schema.diagnostic("is not a schema", "use a mapping of JSON Schema keywords")
        return
    yield from _check_keywords(schema, is_file=is_file)
    yield from _check_form(schema, holder, is_file=is_file)
    for key in ("title", "description"):
        yield from check_text(schema.get(key))
    for part in parts(schema):
        step = part.location.pointer[len(schema.location.pointer) + 1 :].partition("/")[0]
        is_open_or_closed = step == "additionalProperties" and isinstance(part.value, bool)
        if step in keywords.SUPPORTED and not is_open_or_closed:
            yield from check_schema(part, step)


def _check_keywords(schema: Node, *, is_file: bool) -> Iterator[Diagnostic]:
    for key, value in schema.mapping.items():
        if key not in keywords.SUPPORTED:
            remedy = _REMEDIES.get(key, "correct it, or remove it")
            yield schema.diagnostic(f"the keyword {quoted(key)} is not supported", remedy, key)
        elif key == "$schema" and not is_file:
            remedy = "use it only at the top of a file"
            yield schema.diagnostic("$schema is inside a schema", remedy, key)
        elif key == "$schema" and str(value).removesuffix("#") != _DIALECT:
            message = f"{quoted(value)} is not the supported dialect"
            yield schema.diagnostic(message, f"use {_DIALECT}", key)


def _check_form(schema: Node, holder: str, *, is_file: bool) -> Iterator[Diagnostic]:
    """Yield keywords that cannot be combined, and what is wrong with those that can."""
    yield from check_default(schema, is_property=holder == "properties")
    is_key = holder == "propertyNames"  # keys are always strings
    head = next((key for key in keywords.COMBINING if key in schema.mapping), None)
    if head is not None:
        yield from _check_combination(schema, head)
        if head == "allOf":
            yield from check_object(schema)
        return
    if "discriminator" in schema.mapping:
        message = "is used without oneOf or anyOf"
        yield schema.diagnostic(message, "use it together with one of them", "discriminator")
    if is_file and keywords.is_library(schema.mapping):
        return  # a $ref to it as a whole is refused
    if not schema.mapping.keys() & {"type", "enum", "const"} and not is_key:
        yield schema.diagnostic("has no type", _TYPE_REMEDY)
        return
    yield from check_values(schema, is_key=is_key)
    if holder not in _NAMED:
        yield from _check_inner(schema)
    kinds = types_of(schema.mapping)
    if "object" in kinds:
        yield from check_object(schema)
    if "array" in kinds and "items" not in schema.mapping:
        yield schema.diagnostic("has no items", "add items with their type")


def _check_inner(schema: Node) -> Iterator[Diagnostic]:
    """Yield what the models enforce only for a property or a schema in `$defs`."""
    kind = schema.mapping.get("type")
    is_nullable = isinstance(kind, list) and "null" in kind
    unenforced = keywords.SIZE_BOUNDS
    if is_nullable:
        unenforced = unenforced | keywords.SCALAR_BOUNDS
    for key in sorted(schema.mapping.keys() & unenforced):
        remedy = "move this schema to $defs and refer to it"
        yield schema.diagnostic(f"models do not enforce {key} here", remedy, key)


def _check_combination(schema: Node, head: str) -> Iterator[Diagnostic]:
    """Yield keywords that the models do not enforce next to `$ref`, oneOf, anyOf or allOf."""
    allowed = (
        {head, "default", "$defs", "$schema"} | _ENFORCED_TOGETHER[head] | keywords.ANNOTATIONS
    )
    for key in sorted(schema.mapping.keys() & keywords.SUPPORTED - allowed):
        remedy = f"move it to the {'schema' if head == '$ref' else 'branches'} of the {head}"
        yield schema.diagnostic(f"models do not enforce {key} next to {head}", remedy, key)


def _type_remedy(value: JsonValue) -> str:
    """Return what to do about an invalid `type`; in a list, about the first invalid one."""
    if value is None:
        return 'use "null", in quotes'
    names = value if isinstance(value, list) else [value]
    wrong = next((name for name in names if name not in [*keywords.BY_TYPE]), None)
    if isinstance(wrong, str):
        name = wrong.lower()
        close = difflib.get_close_matches(name, keywords.BY_TYPE, n=1)
        meant = _TYPE_ALIASES.get(name) or next(iter(close), None)
        if meant is not None:
            return f"did you mean {meant}?"
    return f"use {', '.join(keywords.BY_TYPE)}, or a list of several, each once"

"""Schemas of single values: types, the bounds that apply to them, enumerations and defaults."""

import re
import warnings
from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from weenats_codegen.lint.validation import is_valid, schema_errors
from weenats_codegen.parser.diagnostics import Diagnostic, quoted
from weenats_codegen.parser.keywords import (
    BY_TYPE,
    COMBINING,
    SCALAR_BOUNDS,
    TEXT_FORMATS,
    TYPED,
    VALUE_FORMATS,
)
from weenats_codegen.parser.walk import Node, Schema

_LET_HANDLER: Final = "remove it, and let the handler set the value"
_SIZES: Final = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
)
_BOUNDS: Final = (
    *_SIZES,
    ("minimum", "maximum"),
    ("exclusiveMinimum", "maximum"),
    ("minimum", "exclusiveMaximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
)
_SCALAR: Final = SCALAR_BOUNDS - {"pattern"} | {"type", "enum", "const"}
_MAX_SIZE: Final = 2**31 - 1


def types_of(schema: Schema) -> frozenset[str]:
    """Return the types that a schema names, or that its enum or const implies."""
    kinds = schema.get("type", ["string", "null"])
    names = kinds if isinstance(kinds, list) else [kinds]
    return frozenset(name for name in names if isinstance(name, str))


def number(members: Node, key: str) -> float | None:
    """Return a member that is a number, None if it is absent or not a number."""
    value = members.mapping.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def check_values(schema: Node, *, is_key: bool) -> Iterator[Diagnostic]:
    """Yield what is wrong with a schema that has a type, an enum or a const."""
    kinds = frozenset({"string"}) if is_key else types_of(schema.mapping)
    if kinds & {"object", "array"} and len(kinds - {"null"}) > 1:
        message = "mixes objects or lists with other types"
        yield schema.diagnostic(message, "use an anyOf with a branch for each", "type")
    applicable = frozenset[str]().union(*(BY_TYPE.get(kind, frozenset()) for kind in kinds))
    for key in sorted(schema.mapping.keys() & TYPED - applicable):
        if key == "multipleOf" and "number" in kinds:
            message = "models do not enforce multipleOf of a number exactly"
            yield schema.diagnostic(message, "use an integer of the smallest unit", key)
        else:
            message = f"{key} does not apply to {' or '.join(sorted(kinds))}"
            yield schema.diagnostic(message, "remove it, or correct the type", key)
    yield from _check_enumeration(schema, kinds)
    yield from _check_bounds(schema)
    if "string" in kinds:
        yield from _check_string(schema)


def check_default(schema: Node, *, is_property: bool) -> Iterator[Diagnostic]:
    """Yield what is wrong with a default."""
    if "default" not in schema.mapping:
        return
    default = schema.get("default")
    head = next((key for key in COMBINING if key in schema.mapping), None)
    if not is_property:
        yield default.diagnostic("only a property can have a default", "move it to the properties")
    elif isinstance(default.value, list | dict):
        yield default.diagnostic("is a list or mapping", _LET_HANDLER)
    elif (form := _format(schema)) in VALUE_FORMATS:
        yield default.diagnostic(f"a {form} cannot have a default", _LET_HANDLER)
    elif head is not None:
        remedy = f"write the schema out instead of using {head}"
        yield default.diagnostic(f"cannot be combined with {head}", remedy)
    elif _is_sound(schema) and not _accepts(schema.mapping, default.value):
        message = f"{quoted(default.value)} does not match its own schema"
        yield default.diagnostic(message, "correct one of them")


def _is_sound(schema: Node) -> bool:
    pattern = schema.mapping.get("pattern", "")
    is_usable = isinstance(pattern, str) and _is_pattern(pattern)
    return is_usable and not any(schema_errors(schema.value))


def _accepts(schema: Schema, value: JsonValue) -> bool:
    """Return whether the supported keywords of a schema of scalars accept a value."""
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and isinstance(value, str):
        try:
            _string_type(pattern).validate_python(value)
        except ValidationError:
            return False
    return is_valid({key: schema[key] for key in schema.keys() & _SCALAR}, value)


def _check_enumeration(schema: Node, kinds: frozenset[str]) -> Iterator[Diagnostic]:
    for key in ("enum", "const"):
        if key not in schema.mapping:
            continue
        given = schema.get(key)
        if key == "enum" and not isinstance(given.value, list):
            continue  # not valid JSON Schema
        options = given.items if key == "enum" else [given]
        if not options:
            yield given.diagnostic("allows no value", "list at least one")
        seen: set[str | None] = set()
        for option in options:
            value = option.value
            text = quoted(value)
            if value is not None and not isinstance(value, str):
                message = f"models cannot compare {text} exactly with other values"
                remedy = "use strings, or bounds instead of an enumeration"
                yield option.diagnostic(message, remedy)
            elif ("null" if value is None else "string") not in kinds:
                yield option.diagnostic(f"{text} has another type", "correct the type or value")
            elif value in seen:
                yield option.diagnostic(f"{text} appears twice", "remove one of them")
            else:
                seen.add(value)
        others = TYPED | {"enum"} if key == "const" else TYPED
        if combined := ", ".join(sorted(schema.mapping.keys() & others)):
            yield given.diagnostic(f"cannot be combined with {combined}", f"remove {combined}")


def _check_bounds(schema: Node) -> Iterator[Diagnostic]:
    for low, high in _BOUNDS:
        least, most = number(schema, low), number(schema, high)
        if least is None or most is None:
            continue
        if least > most or (least == most and "exclusive" in f"{low}{high}"):
            message = f"no value is within {low} and {high}"
            yield schema.diagnostic(message, "correct one of them", low)
    for key in (key for pair in _SIZES for key in pair):
        size = number(schema, key)
        if size is not None and size > _MAX_SIZE:
            yield schema.diagnostic("is larger than any value can be", "remove it", key)


def _check_string(schema: Node) -> Iterator[Diagnostic]:
    form, pattern = _format(schema), schema.mapping.get("pattern")
    known = TEXT_FORMATS | VALUE_FORMATS
    if form and form not in known:
        remedy = f"use a pattern, or one of {', '.join(sorted(known))}"
        yield schema.diagnostic(f"the format {quoted(form)} is not supported", remedy, "format")
    if form in VALUE_FORMATS:
        for key in ("minLength", "maxLength", "pattern"):
            if key in schema.mapping:
                message = f"cannot be combined with the format {form}"
                yield schema.diagnostic(message, "remove it", key)
    if isinstance(pattern, str) and not _is_pattern(pattern):
        yield schema.diagnostic(
            f"{quoted(pattern)} is not a regular expression that models can check",
            "correct it (look-around and back-references are not supported)",
            "pattern",
        )


def _format(schema: Node) -> str:
    """Return the format, "" if there is none or it is not a string."""
    form = schema.mapping.get("format")
    return form if isinstance(form, str) else ""


def _is_pattern(pattern: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):  # what may mean something else one day
            re.compile(pattern)
        _string_type(pattern)
    except (re.error, SchemaError, OverflowError, RecursionError):
        return False
    return True


def _string_type(pattern: str) -> TypeAdapter[str]:
    """Return the type of the strings that match a pattern, as models check it.

    Its engine takes linear time, which that of Python does not: contracts may come from strangers.
    """
    return TypeAdapter(Annotated[str, Field(pattern=pattern)])

"""Schemas of single values: types, the bounds that fit them, enumerations and defaults."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, TypeAdapter
from pydantic_core import SchemaError

from weenats_codegen.lint import keywords
from weenats_codegen.lint.validation import fits, schema_faults
from weenats_codegen.parser.diagnostics import joined, shown
from weenats_codegen.parser.syntax import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

Schema = dict[str, "JsonValue"]

_SCALARS: Final = frozenset({"string", "integer", "number", "boolean", "null"})


def types_of(schema: Schema) -> frozenset[str]:
    """Return the types that a schema names, or that its enum or const implies."""
    kind = schema.get("type")
    if isinstance(kind, str):
        return frozenset({kind})
    if isinstance(kind, list):
        return frozenset(item for item in kind if isinstance(item, str))
    return frozenset({"string", "null"})


def check_values(pointer: str, schema: Schema, *, is_key: bool) -> Iterator[Flaw]:
    """Yield what is wrong with a schema that has a type, an enum or a const."""
    kinds = frozenset({"string"}) if is_key else types_of(schema)
    yield from _kinds(pointer, kinds)
    fitting = frozenset[str]().union(*(keywords.BY_TYPE.get(kind, frozenset()) for kind in kinds))
    for key in sorted(schema.keys() & keywords.TYPED - fitting):
        if key == "multipleOf" and "number" in kinds:
            yield Flaw(
                joined(pointer, key),
                "models do not enforce multipleOf of a number exactly",
                keywords.REMEDIES[key],
            )
        else:
            yield Flaw(
                joined(pointer, key),
                f"{key} says nothing about {' or '.join(sorted(kinds))}",
                "remove it, or correct the type",
            )
    yield from _enumeration(pointer, schema, kinds)
    yield from _bounds(pointer, schema)
    if "string" in kinds:
        yield from _text(pointer, schema)


def check_default(pointer: str, schema: Schema, *, is_property: bool) -> Iterator[Flaw]:
    """Yield what is wrong with a default."""
    if "default" not in schema:
        return
    default, at = schema["default"], joined(pointer, "default")
    if not is_property:
        yield Flaw(at, "only a property has a default", "move it to the properties that have it")
    elif isinstance(default, list | dict):
        yield Flaw(at, "is a list or mapping", "leave it out, and let the handler fill it in")
    elif (form := _format(schema)) in keywords.VALUE_FORMATS:
        yield Flaw(
            at,
            f"a {form} has no default",
            "leave it out, and let the handler fill it in",
        )
    elif head := next((key for key in keywords.FORMS if key in schema), None):
        yield Flaw(at, f"stands beside {head}", f"write the schema out in place of {head}")
    elif _is_sound(schema) and not fits(schema, default):
        yield Flaw(at, f"{shown(default)} does not fit its own schema", "correct one of them")


def _is_sound(schema: Schema) -> bool:
    pattern = schema.get("pattern", "")
    return isinstance(pattern, str) and _is_pattern(pattern) and not any(schema_faults(schema))


def _kinds(pointer: str, kinds: frozenset[str]) -> Iterator[Flaw]:
    if len(kinds - {"null"}) > 1 and not kinds <= _SCALARS:
        yield Flaw(
            joined(pointer, "type"),
            "mixes objects or lists with other types",
            "write an anyOf with a branch for each",
        )


def _enumeration(pointer: str, schema: Schema, kinds: frozenset[str]) -> Iterator[Flaw]:
    for key in ("enum", "const"):
        if key not in schema:
            continue
        at = joined(pointer, key)
        given = schema[key]
        options = given if key == "enum" else [given]
        if not isinstance(options, list):
            continue  # no valid JSON Schema
        if not options:
            yield Flaw(at, "allows no value", "name at least one")
        for index, option in enumerate(options):
            place = joined(at, index) if key == "enum" else at
            if option is not None and not isinstance(option, str):
                yield Flaw(
                    place,
                    f"models do not tell {shown(option)} exactly from other values",
                    "use text, or bounds in place of the enumeration",
                )
            elif ("null" if option is None else "string") not in kinds:
                yield Flaw(place, f"{shown(option)} has another type", "correct the type or value")
            elif option in options[:index]:
                yield Flaw(place, f"{shown(option)} stands here twice", "remove one of the two")
        others = sorted(
            schema.keys() & (keywords.TYPED | ({"enum"} if key == "const" else frozenset()))
        )
        if others:
            yield Flaw(at, f"stands beside {', '.join(others)}", f"remove {', '.join(others)}")


def _bounds(pointer: str, schema: Schema) -> Iterator[Flaw]:
    for low, high in keywords.BOUNDS:
        least, most = _number(schema, low), _number(schema, high)
        if least is None or most is None:
            continue
        empty = least >= most if "exclusive" in f"{low}{high}" else least > most
        if empty:
            yield Flaw(
                joined(pointer, low), f"no value is within {low} and {high}", "correct one of them"
            )
    for pair in keywords.SIZES:
        for key in pair:
            size = _number(schema, key)
            if size is not None and size > keywords.MAX_SIZE:
                yield Flaw(joined(pointer, key), "is larger than any value", "remove it")


def _number(schema: Schema, key: str) -> float | None:
    value = schema.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(pointer: str, schema: Schema) -> Iterator[Flaw]:
    form, pattern = _format(schema), schema.get("pattern")
    if form and form not in keywords.TEXT_FORMATS | keywords.VALUE_FORMATS:
        known = ", ".join(sorted(keywords.TEXT_FORMATS | keywords.VALUE_FORMATS))
        yield Flaw(
            joined(pointer, "format"),
            f"models do not know the format {shown(form)}",
            f"use a pattern, or one of {known}",
        )
    if form in keywords.VALUE_FORMATS:
        for key in ("minLength", "maxLength", "pattern"):
            if key in schema:
                yield Flaw(joined(pointer, key), f"stands beside the format {form}", "remove it")
    if isinstance(pattern, str) and not _is_pattern(pattern):
        yield Flaw(
            joined(pointer, "pattern"),
            f"{shown(pattern)} is no regular expression that models can check",
            "correct it; look-around and back-references do not exist there",
        )


def _format(schema: Schema) -> str:
    """Return the format; "" where there is none, or what JSON Schema refuses as one."""
    form = schema.get("format")
    return form if isinstance(form, str) else ""


def _is_pattern(pattern: str) -> bool:
    try:
        re.compile(pattern)
        TypeAdapter(Annotated[str, Field(pattern=pattern)])
    except (re.error, SchemaError, OverflowError, RecursionError):
        return False
    return True

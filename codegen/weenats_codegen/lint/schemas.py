"""One schema at a time: valid JSON Schema, and nothing in it that the models would not enforce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.lint import keywords, type_names, values
from weenats_codegen.lint.objects import check_object
from weenats_codegen.lint.text import check_text
from weenats_codegen.lint.validation import schema_faults
from weenats_codegen.parser.diagnostics import joined, shown
from weenats_codegen.parser.syntax import Flaw
from weenats_codegen.parser.walk import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from weenats_codegen.parser.walk import Place

Schema = dict[str, "JsonValue"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_KEYWORD_REMEDY: Final = "see the keyword in JSON Schema 2020-12"
_TYPE_REMEDY: Final = "say its type, or refer to a schema by $ref"


class _Where(NamedTuple):
    """What may stand in a schema depends on where it stands."""

    is_file: bool = False
    is_property: bool = False
    is_inner: bool = False  # part of another type, without a name of its own
    is_key: bool = False  # propertyNames: keys are text anyway


def check_schema(place: Place, *, is_file: bool = False) -> Iterator[Flaw]:
    """Yield what is wrong with an outermost schema and with every schema inside it."""
    yield from _check(place, _Where(is_file=is_file))


def check_valid(place: Place) -> Iterator[Flaw]:
    """Yield what makes an outermost schema no valid JSON Schema."""
    if not isinstance(place.value, dict):
        return  # said by check_schema
    for fault in schema_faults(place.value):
        keyword = next((step for step in reversed(fault.path) if isinstance(step, str)), "")
        if fault.expected == ["object", "boolean"]:
            continue  # a part that is no schema: said by check_schema
        yield Flaw(
            joined(place.pointer, *fault.path),
            f"is no valid JSON Schema: {keyword} cannot be {shown(fault.value)}",
            type_names.remedy(fault.value) if keyword == "type" else _KEYWORD_REMEDY,
        )


def _check(place: Place, where: _Where) -> Iterator[Flaw]:
    pointer, schema = place
    if isinstance(schema, bool):
        yield Flaw(pointer, f"is the boolean schema {shown(schema)}", _TYPE_REMEDY)
        return
    if not isinstance(schema, dict):
        yield Flaw(pointer, "is no schema", "write a mapping of JSON Schema's keywords")
        return
    yield from _keywords(pointer, schema, where)
    yield from _form(pointer, schema, where)
    for key in ("title", "description"):
        yield from check_text(schema.get(key), joined(pointer, key))
    for part in parts(schema, pointer):
        step = part.pointer.removeprefix(f"{pointer}/").partition("/")[0]
        is_open_or_closed = step == "additionalProperties" and isinstance(part.value, bool)
        if step in keywords.KNOWN and not is_open_or_closed:
            inside = _Where(
                is_property=step == "properties",
                is_inner=step not in {"properties", "$defs"},
                is_key=step == "propertyNames",
            )
            yield from _check(part, inside)


def _keywords(pointer: str, schema: Schema, where: _Where) -> Iterator[Flaw]:
    for key in schema:
        at = joined(pointer, key)
        if key not in keywords.KNOWN:
            remedy = keywords.REMEDIES.get(key, "correct it, or remove it")
            yield Flaw(at, f"the keyword {shown(key)} is not supported", remedy)
        elif key == "$schema" and not where.is_file:
            yield Flaw(at, "$schema stands inside a schema", "keep it at the top of files")
        elif key == "$schema" and str(schema[key]).removesuffix("#") != _DIALECT:
            yield Flaw(at, f"{shown(schema[key])} is another dialect", f"write {_DIALECT}")


def _form(pointer: str, schema: Schema, where: _Where) -> Iterator[Flaw]:
    """Yield keywords that do not go together, and what is wrong with those that do."""
    yield from values.check_default(pointer, schema, is_property=where.is_property)
    head = next((key for key in keywords.FORMS if key in schema), None)
    if head is not None:
        yield from _beside(pointer, schema, head)
        if head == "allOf":
            yield from check_object(pointer, schema)
        return
    if "discriminator" in schema:
        at = joined(pointer, "discriminator")
        yield Flaw(at, "stands without oneOf", "put it beside a oneOf")
    if where.is_file and keywords.is_library(schema):
        return  # a $ref to it as a whole is refused where it stands
    if not schema.keys() & {"type", "enum", "const"} and not where.is_key:
        yield Flaw(pointer, "has no type", _TYPE_REMEDY)
        return
    yield from values.check_values(pointer, schema, is_key=where.is_key)
    if where.is_inner:
        yield from _inner(pointer, schema)
    kinds = values.types_of(schema)
    if "object" in kinds:
        yield from check_object(pointer, schema)
    if "array" in kinds and "items" not in schema:
        yield Flaw(pointer, "does not say what the list holds", "add items with their type")


def _inner(pointer: str, schema: Schema) -> Iterator[Flaw]:
    """Yield what is enforced of a property or a schema in $defs, and of no other."""
    may_be_null = isinstance(schema.get("type"), list) and "null" in values.types_of(schema)
    unenforced = keywords.OF_NAMED | keywords.OF_SCALARS if may_be_null else keywords.OF_NAMED
    for key in sorted(schema.keys() & unenforced):
        yield Flaw(
            joined(pointer, key),
            f"models do not enforce {key} here",
            "move what has it to $defs and refer to it",
        )


def _beside(pointer: str, schema: Schema, head: str) -> Iterator[Flaw]:
    """Yield what stands beside a `$ref`, oneOf, anyOf or allOf and would not be enforced there."""
    allowed = keywords.BESIDE[head] | keywords.ANNOTATIONS | {head, "default", "$defs", "$schema"}
    for key in sorted(schema.keys() & keywords.KNOWN - allowed):
        yield Flaw(
            joined(pointer, key),
            f"models do not enforce {key} beside {head}",
            f"move it into what {head} leads to",
        )

"""A schema as a table: a row for each member, that of nested objects included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from weenats_codegen.ir.bundle import DOCUMENTATION, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weenats_codegen.ir.bundle import Bundle
    from weenats_codegen.ir.shapes.grammar import Json, Schema

_MAX_DEPTH: Final = 5
_MAX_ROWS: Final = 200
_MAX_TEXT: Final = 300
_RANGES: Final = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minProperties", "maxProperties", " members"),
)
_BOUNDS: Final = {
    "exclusiveMinimum": "> {}", "exclusiveMaximum": "< {}", "multipleOf": "multiple of {}",
    "pattern": "matches {}", "format": "{}", "contentEncoding": "{}",
}  # fmt: skip
_SHOWN: Final = frozenset({
    *_BOUNDS, *(key for low, high, _ in _RANGES for key in (low, high)),
    "type", "enum", "const", "$ref", "properties", "required", "items", "prefixItems",
    "additionalProperties", "uniqueItems", "anyOf", "oneOf", "allOf", *DOCUMENTATION,
})  # fmt: skip
_FLAGS: Final = {
    "uniqueItems": "no item twice", "readOnly": "read only", "writeOnly": "write only",
    "deprecated": "deprecated",
}  # fmt: skip


class Piece(NamedTuple):
    """A part of the description of a type.

    Attributes:
        text: The text.
        link: The definition that it leads to; "" for plain text.
    """

    text: str
    link: str = ""


class Row(NamedTuple):
    """A member of a schema.

    Attributes:
        name: The path to the member, such as `items[].price`; "" for the schema itself.
        is_required: Whether the member must be there.
        type: Its type.
        limits: What else is demanded of it.
        description: What it means.
    """

    name: str
    is_required: bool
    type: Sequence[Piece]
    limits: str
    description: str


def rows(bundle: Bundle, name: str) -> list[Row]:
    """Return the rows of a definition.

    Args:
        bundle: The schemas.
        name: The name of the definition.
    """
    found: list[Row] = []
    schema: Any = bundle.definitions[name]
    if not _members(schema):
        found.append(_row("", schema, is_required=True))
    for row in _nested(schema, "", 0):
        if len(found) == _MAX_ROWS:
            more = Row("…", False, [Piece("more members")], "", "See the JSON Schema below.")  # noqa: FBT003
            return [*found, more]
        found.append(row)
    return found


def _members(schema: Json) -> Schema:
    members: Json = schema.get("properties") if isinstance(schema, dict) else None
    return members if isinstance(members, dict) else {}


def _nested(schema: Json, path: str, depth: int) -> Iterator[Row]:
    """Yield the rows of the members of a schema, of its items and its parts."""
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return
    required: list[str] = schema.get("required", [])
    for name, member in _members(schema).items():
        place = f"{path}.{name}" if path else name
        yield _row(place, member, is_required=name in required)
        yield from _nested(member, place, depth + 1)
    items: Json = schema.get("items")
    if isinstance(items, dict):
        yield from _nested(items, f"{path}[]", depth + 1)
    others: Json = schema.get("additionalProperties")
    if isinstance(others, dict):
        yield from _nested(others, f"{path}.*" if path else "*", depth + 1)
    for keyword in ("allOf", "oneOf", "anyOf"):
        for part in schema.get(keyword, ()):
            yield from _nested(part, path, depth + 1)


def _row(name: str, schema: Json, *, is_required: bool) -> Row:
    about = str(schema.get("description", "")) if isinstance(schema, dict) else ""
    return Row(name, is_required, list(_type(schema, 0)), _limits(schema), about)


def _type(schema: Json, depth: int) -> Iterator[Piece]:
    if schema is False:
        yield Piece("nothing")
    elif not isinstance(schema, dict) or depth > _MAX_DEPTH:
        yield Piece("anything")
    elif isinstance(ref := schema.get("$ref"), str):
        name = ref.removeprefix(PREFIX)
        yield Piece(name, name)
    elif "const" in schema:
        yield Piece(_json(schema["const"]))
    elif "enum" in schema:
        yield Piece(" | ".join(map(_json, schema["enum"][:50])))
    elif "oneOf" in schema or "anyOf" in schema:
        yield from _joined(schema.get("oneOf") or schema.get("anyOf"), " or ", depth)
    elif "allOf" in schema and "type" not in schema:
        yield from _joined(schema["allOf"], " and ", depth)
    else:
        yield from _plain(schema, depth)


def _plain(schema: Schema, depth: int) -> Iterator[Piece]:
    types: str | list[str] = schema.get("type", [])
    kinds = [types] if isinstance(types, str) else list(types)
    if "array" in kinds and isinstance(schema.get("items"), dict):
        yield Piece("array of ")
        yield from _type(schema["items"], depth + 1)
        kinds.remove("array")
        if not kinds:
            return
        yield Piece(" or ")
    elif kinds == ["object"] and isinstance(schema.get("additionalProperties"), dict):
        yield Piece("map of ")
        yield from _type(schema["additionalProperties"], depth + 1)
        return
    yield Piece(" or ".join(kinds) or ("object" if _members(schema) else "anything"))


def _joined(parts: Any, word: str, depth: int) -> Iterator[Piece]:
    for index, part in enumerate(parts):
        if index:
            yield Piece(word)
        yield from _type(part, depth + 1)


def _limits(schema: Json) -> str:
    if not isinstance(schema, dict):
        return ""
    found = list(_ranges(schema))
    found += [
        text.format(schema[key] if isinstance(schema[key], str) else _json(schema[key]))
        for key, text in _BOUNDS.items()
        if key in schema
    ]
    found += [text for key, text in _FLAGS.items() if schema.get(key) is True]
    if schema.get("additionalProperties") is False:
        found.append("no other members")
    if "default" in schema:
        found.append(f"default {_json(schema['default'])}")
    found += [f"{key}: {_json(schema[key])}" for key in schema if key not in _SHOWN]
    return ", ".join(found)


def _ranges(schema: Schema) -> Iterator[str]:
    for low, high, unit in _RANGES:
        match low in schema, high in schema:
            case True, True:
                yield f"{_json(schema[low])} to {_json(schema[high])}{unit}"
            case True, False:
                yield f"{_json(schema[low])}{unit} or more"
            case False, True:
                yield f"at most {_json(schema[high])}{unit}"
            case _:
                pass


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"

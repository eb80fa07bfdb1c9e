"""The forms of a shape: JSON Schema of few kinds, which datamodel-code-generator renders exactly.

A shape is one of

* a reference: `{"$ref": "#/$defs/NAME"}`
* a type of our own: `{"customTypePath": "weenats.formats.UUID", "type": "string"}`
* values: `{"enum": [...]}`
* a scalar: `{"type": "string"}` with bounds, where a place can hold them
* a list, a tuple or a map: `items`, `prefixItems`, `additionalProperties`
* a class: `properties`, `required`, `additionalProperties`; or `allOf` of base classes and these
* a union: `{"anyOf": [...]}` of the others.

Bounds of a list, a map or a scalar need a name of their own unless they are those of a member.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

Schema = dict[str, Any]
"""A JSON Schema, or a shape."""
Json = dict[str, Any] | list[Any] | str | float | bool | None
"""A JSON value; `true` and `false` are schemas too."""

ANY: Final[Mapping[str, Any]] = {"customTypePath": "pydantic.JsonValue"}
"""The shape of every JSON value."""
NULL: Final[Mapping[str, Any]] = {"type": "null"}
"""The shape of null."""
DISCRIMINATOR: Final = "x-discriminator"
"""The keyword of a union that names the attribute by which pydantic chooses a branch."""
ANNOTATIONS: Final = frozenset({
    "title", "description", "examples", "default", "deprecated", "readOnly", "writeOnly",
    "discriminator", "$comment", "contentMediaType", "contentSchema", "x-enum-varnames",
})  # fmt: skip
"""Keywords that no value can break."""
TYPES: Final = ("object", "array", "string", "integer", "number", "boolean", "null")
"""The types of JSON Schema, in the order in which unions list them."""
NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
"""Keywords that hold schemas by name."""
VALUES: Final = frozenset({
    "enum", "const", "default", "examples", "required", "dependentRequired", "discriminator",
})  # fmt: skip
"""Keywords whose values may look like schemas and are none."""
_DEFINITIONS: Final = "#/$defs/"
_BOUNDS: Final = frozenset({
    "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "minProperties", "maxProperties",
})  # fmt: skip


def ref(name: str) -> Schema:
    """Return the reference to a definition."""
    return {"$ref": f"{_DEFINITIONS}{name}"}


def ref_name(schema: Mapping[str, Json]) -> str:
    """Return the definition that a `$ref` names, "" if there is none."""
    return str(schema.get("$ref", "")).removeprefix(_DEFINITIONS)


def types_of(keywords: Schema) -> tuple[str, ...]:
    """Return the types that the `type` of a schema allows, in the order that it names them."""
    kinds = keywords.get("type", TYPES)
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)


def custom(name: str, kind: str) -> Schema:
    """Return the shape of a type of `weenats.formats` that is written as a JSON type."""
    return {"customTypePath": f"weenats.formats.{name}", "type": kind}


def is_any(shape: Mapping[str, Json]) -> bool:
    """Return whether a shape is that of every JSON value."""
    return bool(shape.get("customTypePath") == ANY["customTypePath"])


def is_class(shape: Mapping[str, Json]) -> bool:
    """Return whether a definition becomes a class, not an alias."""
    is_closed = shape.get("type") == "object" and shape.get("additionalProperties") is False
    return is_closed or not shape.keys().isdisjoint({"properties", "allOf"})


def is_bounded(shape: Mapping[str, Json]) -> bool:
    """Return whether a shape has bounds, so that it needs a name inside another one."""
    return not shape.keys().isdisjoint(_BOUNDS)


def holds_bounds_with_null(shape: Mapping[str, Json]) -> bool:
    """Return whether a shape can be combined with null and keep its bounds without a name."""
    return shape.get("type") != "object" and "prefixItems" not in shape


def map_shapes(shape: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return a shape with a function applied to it and to every shape inside it.

    Args:
        shape: The shape.
        change: Called with each shape before those inside it.
    """
    result: Schema = {}
    for keyword, value in change(shape).items():
        match keyword:
            case "properties":
                members: dict[str, Schema] = value
                result[keyword] = {name: map_shapes(each, change) for name, each in members.items()}
            case "allOf" | "anyOf" | "prefixItems":
                parts: list[Schema] = value
                result[keyword] = [map_shapes(part, change) for part in parts]
            case "items" | "additionalProperties" if not isinstance(value, bool):
                result[keyword] = map_shapes(value, change)
            case _:
                result[keyword] = value
    return result


def union(branches: Sequence[Schema]) -> Schema:
    """Return the union of shapes: flat, without duplicates, null last."""
    flat: dict[str, Schema] = {}
    values: list[Json] = []
    for branch in (part for each in branches for part in each.get("anyOf", [each])):
        if is_any(branch):
            return {**ANY}
        if branch.keys() == {"enum"}:
            values += branch["enum"]
            flat["enum"] = {"enum": values}
        else:
            flat[json.dumps(branch, sort_keys=True)] = branch
    if values:
        flat["enum"] = {"enum": list({key(value): value for value in values}.values())}
    parts = [part for part in flat.values() if part != NULL]
    if len(parts) < len(flat):
        if len(parts) == 1 and (nullable := _nullable(parts[0])):
            return nullable
        parts.append({**NULL})
    return parts[0] if len(parts) == 1 else {"anyOf": parts}


def key(value: Json) -> str:
    """Return a text that is equal for values that JSON Schema takes for equal."""
    match value:
        case bool() | str() | None:
            return json.dumps(value)
        case float() if value.is_integer():
            return str(int(value))
        case list():
            return f"[{','.join(map(key, value))}]"
        case dict():
            members = sorted((json.dumps(name), key(part)) for name, part in value.items())
            return f"{{{','.join(f'{name}:{part}' for name, part in members)}}}"
        case _:
            return str(value)


def references(schema: Json) -> Iterator[str]:
    """Yield the names of the definitions that a schema or a shape refers to."""
    match schema:
        case list():
            for part in schema:
                yield from references(part)
        case dict():
            if name := ref_name(schema):
                yield name
            for keyword, part in schema.items():
                if keyword in NAMED:
                    yield from references(list(part.values()))
                elif keyword not in VALUES:
                    yield from references(part)
        case _:
            pass


def _nullable(shape: Schema) -> Schema | None:
    """Return a shape with null, where that takes no union."""
    if "enum" in shape:
        values = shape["enum"]
        return shape if None in values else {**shape, "enum": [*values, None]}
    kind = shape.get("type")
    is_simple = isinstance(kind, str) and holds_bounds_with_null(shape)
    return (
        {**shape, "type": [kind, "null"]} if is_simple and "customTypePath" not in shape else None
    )

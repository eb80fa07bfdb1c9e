"""Values that a schema allows, and the Python that makes them: for documentation."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Final, cast

import jsonschema_rs

from weenats_codegen.ir.bundle import PREFIX, Bundle, judge_text
from weenats_codegen.ir.shapes.grammar import ref_name
from weenats_codegen.naming import field_name
from weenats_codegen.samples.patterns import text_for

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats_codegen.ir.bundle import Schema
    from weenats_codegen.ir.contract import Contract

_MAX_DEPTH: Final = 8
_MAX_LENGTH: Final = 200
_TEXT: Final = "example"
_FORMATS: Final = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "uuid": "7b5cbb3a-6b3c-4c39-9d0b-5c3e3a0f2f4e",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/path",
}
_NAME: Final = re.compile(r"\w+")
_PLAIN: Final = (str, bool, int, float)
_KEY: Final = '"some-key"'
_TYPED_KEYS: Final = {"UUID": ("uuid", "UUID"), "date": ("datetime", "date.fromisoformat")}
"""The types of keys that examples can have: their modules, and what makes them of text."""


def example_expression(contract: Contract, name: str) -> str:
    """Return the Python expression of a value that a schema allows.

    Args:
        contract: The contract.
        name: A definition, which is a class or an alias of the package.

    Returns:
        The expression, "" if no short value was found.
    """
    value = _example(contract.bundle, {"$ref": f"{PREFIX}{name}"}, _MAX_DEPTH)
    text = json.dumps(value)
    if len(text) > _MAX_LENGTH or not _is_valid(contract.bundle, name, value):
        return ""
    if not contract.shapes.is_class(name):
        return _literal(contract.shapes.definitions[name], value)
    return _constructed(contract, name, value) or f"{name}.model_validate_json({text!r})"


def example_classes(contract: Contract, expression: str) -> list[str]:
    """Return the classes of the package that an expression of an example needs."""
    return sorted({*_NAME.findall(expression)} & {*contract.models})


def _constructed(contract: Contract, name: str, value: JsonValue) -> str:
    """Return the call of a class that makes a value, "" if a member is not that simple."""
    members = contract.shapes.definitions[name].get("properties", {})
    if not isinstance(value, dict) or not value.keys() <= members.keys():
        return ""
    arguments = {key: _argument(contract, members[key], each) for key, each in value.items()}
    if not all(arguments.values()):
        return ""
    return f"{name}({', '.join(f'{field_name(key)}={each}' for key, each in arguments.items())})"


def _argument(contract: Contract, shape: Schema, value: JsonValue) -> str:
    """Return the expression of a member, "" if there is no simple one."""
    name = ref_name(shape)
    if not name:
        return _literal(shape, value)
    if not contract.shapes.is_class(name):
        return _literal(contract.shapes.definitions[name], value)
    return _constructed(contract, name, value) if name in contract.models else ""


def _literal(shape: Schema, value: JsonValue) -> str:
    return repr(value) if isinstance(value, _PLAIN) and set(shape) <= _PLAIN_KEYWORDS else ""


_PLAIN_KEYWORDS: Final = frozenset({
    "type", "title", "description", "default", "examples", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "minLength", "maxLength", "multipleOf", "pattern", "enum", "const",
})  # fmt: skip
"""The keywords of a shape whose Python value is that of JSON."""


def example_key(contract: Contract, name: str) -> tuple[str, str]:
    """Return the Python expression of a key, and the import that it needs.

    Args:
        contract: The contract.
        name: The type of the key, as an `Operation` has it.

    Returns:
        Both; the expression is "" if no key was found, the import if it needs none.
    """
    if name == "str":
        return _KEY, ""
    path = str(contract.shapes.definitions[name].get("customTypePath", ""))
    if not path:
        return example_expression(contract, name), ""
    value = _example(contract.bundle, {"$ref": f"{PREFIX}{name}"}, _MAX_DEPTH)
    module, function = _TYPED_KEYS.get(path.rpartition(".")[2], ("", ""))
    if not module or not _is_valid(contract.bundle, name, value):
        return "", ""
    return f"{function}({value!r})", f"from {module} import {function.partition('.')[0]}\n"


def _is_valid(bundle: Bundle, name: str, value: JsonValue) -> bool:
    schema = {**json.loads(judge_text(bundle, [name])), "$ref": f"{PREFIX}{name}"}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    return validator.is_valid(value)


def _example(bundle: Bundle, schema: JsonValue, depth: int) -> JsonValue:
    """Return a value that a schema may allow: one that it names, or a simple one."""
    if not isinstance(schema, dict) or depth == 0:
        return None
    for key in ("examples", "enum"):
        values = schema.get(key)
        if isinstance(values, list) and values:
            return values[0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if isinstance(ref := schema.get("$ref"), str):
        return _example(bundle, bundle.definitions[ref.removeprefix(PREFIX)], depth - 1)
    for key in ("oneOf", "anyOf"):
        branches = schema.get(key)
        if isinstance(branches, list) and branches and "type" not in schema:
            return _example(bundle, branches[0], depth - 1)
    return _of_type(bundle, schema, depth)


def _of_type(bundle: Bundle, schema: Schema, depth: int) -> JsonValue:
    types = schema.get("type")
    match types[0] if isinstance(types, list) else types:
        case "object":
            members = cast("Schema", schema.get("properties", {}))
            required = cast("list[str]", schema.get("required", []))
            return {key: _example(bundle, members.get(key), depth - 1) for key in required}
        case "array":
            count = min(cast("int", schema.get("minItems", 0)), _MAX_LENGTH)
            return [_example(bundle, schema.get("items"), depth - 1)] * count
        case "string":
            return _string(schema)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case _:
            return None


def _string(schema: Schema) -> str:
    text = _FORMATS.get(str(schema.get("format")), _TEXT)
    if isinstance(pattern := schema.get("pattern"), str):
        text = text_for(pattern) or text
    shortest = min(cast("int", schema.get("minLength", 0)), _MAX_LENGTH)
    return text.ljust(shortest, text[-1])[: cast("int | None", schema.get("maxLength"))]


def _number(schema: Schema) -> int | float:
    number = cast("float", schema.get("multipleOf", 1))
    lowest = cast("float", schema.get("minimum", number))
    number = max(number, lowest)
    above = cast("float | None", schema.get("exclusiveMinimum"))
    if above is not None and number <= above:
        number = math.floor(above) + 1
    return min(number, cast("float", schema.get("maximum", number)))

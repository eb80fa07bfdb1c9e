"""The tables of keywords, formats and members in the guide say what generated code does.

`python tests/codegen/exactness/test_keyword_table.py` writes the tables anew.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from weenats_codegen.ir.bundle import ASSERTED_FORMATS
from weenats_codegen.ir.shapes import shape
from weenats_codegen.parser import dialects
from weenats_codegen.render.models import render_models

_GUIDE: Final = Path(__file__).parents[3] / "schemas" / "README.md"
_HEAD: Final = "| keywords | for example | Python | enforced by |\n|---|---|---|---|\n"
_FORMAT_HEAD: Final = "| format | Python | enforced by |\n|---|---|---|\n"
_MEMBER_HEAD: Final = "| member | for example | Python |\n|---|---|---|\n"
_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer"}
_A: Final = {"type": "object", "properties": {"a": _WHOLE}}
_ROWS: Final[tuple[tuple[str, Any], ...]] = (
    ("none", True),
    ("none", False),
    ("`type`", {"type": "integer"}),
    ("`type`", {"type": ["string", "null"]}),
    ("`enum`", {"enum": ["a", "b", None]}),
    ("`enum`", {"enum": [0.5, 1.5]}),
    ("`enum`", {"enum": [[1], {"a": 1}]}),
    ("`const`", {"const": "a"}),
    ("`const`", {"const": True}),
    ("`minLength`, `maxLength`", {"type": "string", "minLength": 1, "maxLength": 9}),
    ("`pattern`", {"type": "string", "pattern": "^[a-z]+$"}),
    ("`pattern` that looks around or refers back", {"type": "string", "pattern": "^(?!a)"}),
    ("`format`: date, time, date-time, duration, uuid, ipv4, ipv6", {**_TEXT, "format": "date"}),
    ("these with other keywords or `x-python-type`", {**_TEXT, "format": "date", "maxLength": 9}),
    (
        "`format`: email, hostname, uri, uri-reference, regex, json-pointer",
        {**_TEXT, "format": "uri"},
    ),
    ("`format`: others", {**_TEXT, "format": "color"}),
    ("`contentEncoding`: base64", {**_TEXT, "contentEncoding": "base64"}),
    (
        "`minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`",
        {"type": "number", "minimum": 0},
    ),
    ("bounds of 2^53 and more", {"type": "number", "maximum": 2**53}),
    ("`multipleOf`, whole", {"type": "integer", "multipleOf": 5}),
    ("`multipleOf`, other", {"type": "number", "multipleOf": 0.01}),
    ("`format`: decimal", {"type": "number", "format": "decimal"}),
    ("`items`", {"type": "array", "items": _TEXT}),
    ("`minItems`, `maxItems`", {"type": "array", "minItems": 1, "maxItems": 9}),
    (
        "`prefixItems`, closed",
        {"type": "array", "prefixItems": [_TEXT, _WHOLE], "items": False, "minItems": 2},
    ),
    ("`prefixItems`, other", {"type": "array", "prefixItems": [_TEXT, _WHOLE]}),
    ("`uniqueItems`", {"type": "array", "items": _TEXT, "uniqueItems": True}),
    (
        "`contains`, `minContains`, `maxContains`",
        {"type": "array", "contains": _TEXT, "minContains": 2, "maxContains": 9},
    ),
    ("`unevaluatedItems`", {"type": "array", "prefixItems": [_TEXT], "unevaluatedItems": False}),
    ("`properties`, `required`", {**_A, "required": ["a"]}),
    ("`additionalProperties`: false", {**_A, "additionalProperties": False}),
    ("`additionalProperties` alone", {"type": "object", "additionalProperties": _WHOLE}),
    ("`additionalProperties` beside `properties`", {**_A, "additionalProperties": _WHOLE}),
    (
        "`minProperties`, `maxProperties`",
        {"type": "object", "minProperties": 1, "maxProperties": 9},
    ),
    ("these beside `properties`", {**_A, "minProperties": 1}),
    (
        "`patternProperties`, closed",
        {"type": "object", "patternProperties": {"^a+$": _WHOLE}, "additionalProperties": False},
    ),
    ("`patternProperties`, other", {"type": "object", "patternProperties": {"^a+$": _WHOLE}}),
    ("`propertyNames`", {"type": "object", "propertyNames": {"maxLength": 9}}),
    ("`dependentRequired`", {**_A, "dependentRequired": {"a": ["b"]}}),
    ("`dependentSchemas`, `dependencies`", {**_A, "dependentSchemas": {"a": {"required": ["b"]}}}),
    (
        "`unevaluatedProperties`, the same as `additionalProperties`",
        {**_A, "unevaluatedProperties": False},
    ),
    (
        "`unevaluatedProperties`, other",
        {**_A, "anyOf": [{"properties": {"b": True}}], "unevaluatedProperties": False},
    ),
    ("`allOf`, of which one schema can be made", {"allOf": [_A, {"required": ["a"]}]}),
    ("`allOf`, other", {"allOf": [_A, {"patternProperties": {"^a": {"minimum": 1}}}]}),
    ("`anyOf`", {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}),
    ("`anyOf` of what is required", {**_A, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
    ("`oneOf` of which never two match", {"oneOf": [_TEXT, {"type": "null"}]}),
    ("`oneOf`, other", {"oneOf": [_WHOLE, {"type": "number", "maximum": 9}]}),
    (
        "`discriminator`",
        {
            "oneOf": [
                {"type": "object", "properties": {"a": {"const": name}}, "required": ["a"]}
                for name in ("x", "y")
            ],
            "discriminator": {"propertyName": "a"},
        },
    ),
    ("`not`", {"type": "string", "not": {"const": "a"}}),
    (
        "`if`, `then`, `else`",
        {**_A, "if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": True},
    ),
    (
        "`$ref`, `$dynamicRef`, `$recursiveRef`",
        {"type": "object", "properties": {"next": {"$ref": "#/$defs/Case"}}},
    ),
)
"""Keywords with a minimal schema in the flat form of the bundle."""
_TRANSLATED: Final = {"additionalItems": "prefixItems"}
"""Keywords that mean the same as another one."""


_NULLABLE: Final = {"type": ["integer", "null"]}
_MEMBERS: Final[tuple[tuple[str, Any], ...]] = (
    ("`required`", {**_A, "required": ["a"]}),
    (
        "`required`, may be null",
        {"type": "object", "properties": {"a": _NULLABLE}, "required": ["a"]},
    ),
    ("optional", _A),
    ("optional, may be null", {"type": "object", "properties": {"a": _NULLABLE}}),
    ("optional, of any type", {"type": "object", "properties": {"a": True}}),
    (
        "optional, with `default`",
        {"type": "object", "properties": {"a": {**_WHOLE, "default": 5}}},
    ),
)
"""Members of objects."""


def _table() -> str:
    """Return the table of keywords as generated code has it."""
    schemas = [schema for _, schema in _ROWS]
    rows = [
        f"| {keywords} | `{_example(schema)}` | `{kind}` | {enforced} |\n"
        for (keywords, schema), (kind, enforced) in zip(_ROWS, _generated(schemas), strict=True)
    ]
    return _HEAD + "".join(rows)


def _format_table() -> str:
    """Return the table of the formats that are enforced."""
    formats = sorted(ASSERTED_FORMATS)
    made = _generated([{**_TEXT, "format": each} for each in formats])
    rows = [
        f"| {each} | `{kind}` | {enforced} |\n"
        for each, (kind, enforced) in zip(formats, made, strict=True)
    ]
    return _FORMAT_HEAD + "".join(rows)


def _member_table() -> str:
    """Return the table of the members of classes."""
    made = _generated([schema for _, schema in _MEMBERS], member="a")
    rows = [
        f"| {text} | `{_example(schema)}` | `{kind}` |\n"
        for (text, schema), (kind, _) in zip(_MEMBERS, made, strict=True)
    ]
    return _MEMBER_HEAD + "".join(rows)


def _generated(schemas: Sequence[Any], member: str = "") -> list[tuple[str, str]]:
    """Return the types that generated code has for schemas, and what enforces these.

    Args:
        schemas: the schemas.
        member: the member of their classes whose source is wanted in place of the type.
    """
    definitions: dict[str, Any] = {
        f"Case{number}": json.loads(json.dumps(schema).replace("/Case", f"/Case{number}"))
        for number, schema in enumerate(schemas)
    }
    shapes = shape(definitions, definitions)
    types = _types(render_models(shapes.definitions), member)
    return [(types[name], "model" if shapes.is_exact(name) else "check") for name in definitions]


def _example(schema: Any) -> str:
    return json.dumps(schema).replace("|", "\\|").replace("#/$defs/Case", "#")


def _types(source: str, member: str) -> dict[str, str]:
    """Return the type of each alias in a module; classes are models, or one of their members."""
    found: dict[str, str] = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=[_, kind])):
                text = re.sub(r"Case\d+\w*", "Model", ast.unparse(kind))
                text = re.sub(r"Annotated\[(Literal\[.*\]), STRICT_LITERAL\]", r"\1", text)
                found[name] = text.replace("|", "\\|")
            case ast.ClassDef(name=name, body=body):
                lines = [ast.unparse(each).replace("|", "\\|") for each in body]
                members = [line for line in lines if line.startswith(f"{member}: ")]
                found[name] = members[0] if member else "Model"
    return found


def test_table_of_keywords() -> None:
    """The guide has the tables that follow from what the generator makes of minimal schemas."""
    guide = _GUIDE.read_text(encoding="utf-8")
    for table in (_table(), _format_table(), _member_table()):
        assert f"{table}\n" in guide


def test_table_has_all_keywords() -> None:
    """Each keyword of a dialect that allows or refuses values is in the table."""
    known = {keyword for dialect in dialects._ALL.values() for keyword in dialect.keywords}
    listed = " ".join(keywords for keywords, _ in _ROWS)
    missing = {each for each in known if f"`{_TRANSLATED.get(each, each)}`" not in listed}
    assert not missing


if __name__ == "__main__":
    for table in (_table(), _format_table(), _member_table()):
        head = "".join(table.splitlines(keepends=True)[:2])
        before, _, rest = _GUIDE.read_text(encoding="utf-8").partition(head)
        after = rest[rest.index("\n\n") + 1 :] if rest else ""
        _GUIDE.write_text(before + table + after, encoding="utf-8")

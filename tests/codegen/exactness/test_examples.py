"""Schemas and documents of which generated code or its comparison once thought differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from testkit.json_schemas.comparison import Case, compare

_BIG: Final = 2**53
_A: Final = {"type": "object", "properties": {"a": {"type": "integer"}}}
_TAGGED: Final = {
    "oneOf": [
        {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}, "required": ["kind"]},
        {"$ref": "#/$defs/Other"},
    ],
    "discriminator": {"propertyName": "kind"},
    "$defs": {
        "Other": {"type": "object", "properties": {"kind": {"const": "c"}}, "required": ["kind"]}
    },
}
AGREED: Final[tuple[tuple[Any, tuple[Any, ...]], ...]] = (
    # Numbers
    ({"type": "integer"}, (1.0, 1, 1.5, True, "1", 1e20, 10**20, _BIG + 1)),
    ({"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer"}, (1, 1.0, 1.5)),
    ({"type": "integer", "minimum": _BIG + 1}, (_BIG, _BIG + 1, _BIG + 2)),
    ({"type": "number", "exclusiveMinimum": _BIG}, (_BIG, _BIG + 1, 10**20)),
    ({"type": "number", "multipleOf": 1.5}, (_BIG + 1, 3, 4.5, 4)),
    ({"type": "number", "multipleOf": 2}, (2, 2.0, 3, 1.5, _BIG + 2)),
    ({"type": "number", "multipleOf": 0.01}, (0.07, 0.071, 1, 19.99, 10**20)),
    ({"multipleOf": 0.01, "exclusiveMaximum": 0.1}, (0.1, 0.09, "a")),
    ({"enum": [1.0, 10**20]}, (1, 1.0, 10**20, 1e20, True, 2)),
    ({"enum": [0, False]}, (0, 0.0, False, True, 1)),
    ({"const": {"a": [1.0]}}, ({"a": [1]}, {"a": [True]}, {"a": [1.0]})),
    ({"type": "integer", "default": 1.0}, (1, 2.0)),
    ({"anyOf": [{"format": "iri"}], "enum": ["a", 0]}, ("a", 0, False, "b")),
    ({"const": 1e23}, (1e23, 10**23, int(1e23), 10**23 + 1, 1e22)),
    ({"const": 10**23}, (1e23, 10**23, int(1e23), 10**23 + 1, 1e22)),
    ({"enum": [1e300, ["a", 1e16]]}, (1e300, 10**300, ["a", 10**16], ["a", 1e16], ["a", 1e17])),
    ({"not": {"enum": [[1e23], 2**60]}}, ([1e23], [10**23], float(2**60), 2**60, [int(1e23)])),
    ({"uniqueItems": True}, ([1e23, 10**23], [{"a": 1e23}, {"a": int(1e23)}], [1e300, 1e299])),
    ({"type": "integer", "maximum": 1e23}, (1e23, 10**23, 10**23 + 1, 1.1e23, int(1e23))),
    ({"type": "number", "exclusiveMinimum": 1e23}, (1e23, 10**23, 10**23 + 1, int(1e23))),
    ({"type": "number", "multipleOf": 1e23}, (1e23, 2 * 10**23, int(1e23), 1e24, 0, 1.5)),
    (
        {"type": "object", "properties": {"a": {"type": "number", "default": 1e23}}},
        ({}, {"a": 1e23}, {"a": 10**23}),
    ),
    (
        {"properties": {"a": {"default": 1e23, "maximum": 1e23}}, "minProperties": 1},
        ({}, {"a": 1e23}, {"a": 10**23}, {"a": 10**23 + 1}, {"b": 1}),
    ),
    # Names
    (
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/E"}, "b": {"$ref": "#/$defs/E"}},
            "$defs": {"E": {"enum": ["x", "y"]}},
        },
        ({}, {"a": "x"}, {"b": "y", "a": "x"}, {"a": "z"}, {"b": None}, {"b": 1}),
    ),
    # Recursion and defaults
    (
        {"type": ["object", "boolean"], "properties": {"a": {"$ref": "#"}}},
        (1, 0, 1.0, "true", True, {"a": 1}, {"a": {"a": False}}),
    ),
    (
        {
            "oneOf": [
                {**_A, "properties": {"ok": {"const": True}}, "required": ["ok"]},
                {**_A, "properties": {"ok": {"const": False}}, "required": ["ok"]},
            ],
            "discriminator": {"propertyName": "ok"},
        },
        ({"ok": True}, {"ok": False, "a": 1}, {"ok": 1}, {}),
    ),
    (
        {"oneOf": [{**_A, "properties": {"a": {"properties": {"a": {"$ref": "#"}}}}}]},
        ({"a": {"a": {"a": None}}}, {"a": {"a": 1}}, {"a": 1}, None),
    ),
    (
        {
            "$defs": {"B": {"oneOf": [{"$ref": "#/$defs/C"}]}, "C": {"properties": {"a": True}}},
            "oneOf": [{"type": "object", "properties": {"a": {"$ref": "#"}}}],
            "not": {},
        },
        (None, {}, {"a": {}}),
    ),
    (
        {
            "type": "object",
            "properties": {"b": {"type": ["number", "string"], "default": 1}},
        },
        ({}, {"b": 1}, {"b": "x"}, {"b": None}),
    ),
    (
        {
            "type": "array",
            "items": {"type": "object", "properties": {"a": {"type": "boolean", "default": True}}},
            "uniqueItems": True,
        },
        ([{}, {"a": True}], [{}, {}]),
    ),
    (
        {
            "allOf": [
                {"$ref": "#/$defs/Base"},
                {"properties": {"in": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
            ],
            "$defs": {
                "Base": {
                    "type": ["object", "boolean"],
                    "properties": {"in": {"$ref": "#/$defs/Base"}, "no": {"type": "integer"}},
                }
            },
        },
        (
            *(True, None, {}, {"in": True}, {"in": None}, {"in": {"in": {"no": 1}}}),
            *({"in": {"in": {"in": {"no": "x"}}}}, {"in": {"in": {"in": {"in": None}}}}),
        ),
    ),
    # Null
    ({"type": "array", "items": {"type": ["integer", "null"], "minimum": 1}}, ([None], [0], [1])),
    (
        {"additionalProperties": {"type": ["string", "null"], "maxLength": 1}},
        ({"a": None}, {"a": "ab"}),
    ),
    (
        {**_A, "properties": {"a": {"type": ["string", "null"], "enum": ["x", None]}}},
        ({}, {"a": None}, {"a": "y"}),
    ),
    (
        {**_A, "type": ["object", "null"], "additionalProperties": False},
        (None, {}, {"b": 1}, {"a": 1}),
    ),
    ({"type": "string", "nullable": True}, ("a", None, 1)),
    # Objects
    (
        {"patternProperties": {"^a": {"type": "integer"}, "b$": {"minimum": 2}}},
        ({"ab": 1}, {"ab": 2}, {"a": "x"}),
    ),
    (
        {"patternProperties": {"^a": {}}, "minProperties": 1, "additionalProperties": False},
        ({}, {"a": 1}, {"b": 1}),
    ),
    ({"propertyNames": {"format": "date"}}, ({"2024-01-01": 1}, {"x": 1}, {})),
    ({**_A, "allOf": [{"properties": {"a": {"minimum": 2}}}]}, ({"a": 1}, {"a": 2})),
    (
        {
            "properties": {"b": {"minimum": 0, "default": 0}},
            "patternProperties": {"": {"type": "array"}},
        },
        ({},),
    ),
    (
        {"properties": {"a": {"default": 1}}, "dependentRequired": {"a": ["b"]}},
        ({}, {"a": 1}, {"a": 2, "b": 1}),
    ),
    (
        {
            "type": "object",
            "maxProperties": 1,
            "properties": {"a": {"default": 1}, "b": {"type": "string"}},
        },
        ({"b": "x"}, {}),
    ),
    (
        {
            "type": "object",
            "maxProperties": 2,
            "properties": {"a": {"default": 1}, "b": {"default": 2}, "c": {"type": "string"}},
        },
        ({"a": 1, "c": "x"}, {"b": 2, "c": "x"}, {"a": 1, "b": 2}, {"a": 1, "b": 2, "c": "x"}),
    ),
    (
        {"required": ["__class__"], "properties": {"__class__": {}, "model_config": {}}},
        ({"__class__": 1}, {}),
    ),
    (_TAGGED, ({"kind": "a"}, {"kind": "c"}, {"kind": "d"}, {})),
    # Arrays
    (
        {"prefixItems": [{"type": "integer"}], "items": False, "minItems": 1, "type": "array"},
        ([], [1], [1, 2], [[]]),
    ),
    ({"contains": {"const": 1}, "maxContains": 1}, ([1], [1, 1.0], [True], [])),
    ({"uniqueItems": True}, ([1, True], [1, 1.0], [{"a": 1}, {"a": 1.0}], [[1], [True]])),
    # Text
    ({"type": "string", "pattern": r"^\d$"}, ("1", "\u0663")),
    ({"type": "string", "pattern": "^[a&&b]$"}, ("a", "&", "c")),
    ({"type": "string", "pattern": "^a$"}, ("a", "a\n")),
    ({"type": "string", "maxLength": 1}, ("\U0001f600", "ab")),
    ({"type": "string", "format": "duration"}, ("P1M1Y", "P1D", "P1Y2M", "P400D", "PT1H1S")),
    ({"type": "string", "format": "duration", "x-python-type": "str"}, ("P1M1Y", "P1Y2M")),
    ({"type": "string", "format": "date-time"}, ("2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z")),
    ({"type": "string", "format": "ipv6"}, ("fe80::1%eth0", "::1")),
    (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "contentEncoding": "base64",
            "maxLength": 1,
        },
        ("\u00e9", "ab", 3),
    ),
    # Everything else
    (
        {"oneOf": [{"properties": {"a": {"items": {"$ref": "#"}}}}], "type": "object"},
        ({"a": [{"a": [{}]}]}, {"a": [1]}, {"a": 1}),
    ),
    ({"deprecated": True}, (1, None)),
    ({"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 2}]}, (1, 2, 2.5, 1.5)),
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, ({"a": 1}, {"a": 1, "b": 1}, 1)),
    (
        {"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": _A}, "unevaluatedProperties": False},
        ({"a": 1}, {"b": 1}),
    ),
    (
        {
            "$dynamicAnchor": "node",
            "properties": {"next": {"$dynamicRef": "#node"}, "value": {"type": "integer"}},
            "unevaluatedProperties": False,
        },
        ({"next": {"next": {"value": 1}}}, {"next": {"value": "a"}}, {"x": 1}),
    ),
    ({"not": {}}, (1, None)),
    (False, (1, {})),
    (True, (1, None, [{"a": 1.5}])),
)
"""Schemas, each with documents."""


@pytest.mark.slow
def test_examples(tmp_path: Path) -> None:
    """Generated code takes and sends exactly what each schema allows."""
    tally = compare([Case(schema, documents) for schema, documents in AGREED], tmp_path)
    assert not tally.disagreements, "\n".join(map(str, tally.disagreements))
    assert tally.documents == sum(len(documents) for _, documents in AGREED)

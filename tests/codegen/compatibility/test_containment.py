"""Containment of schemas: cases that tools for compatibility get wrong, and their proofs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from testkit.calls import limit_calls
from testkit.json_schemas.pairs import bundled
from weenats_codegen.compatibility.budget import Budget
from weenats_codegen.compatibility.containment import Containments
from weenats_codegen.compatibility.formula import definitions
from weenats_codegen.compatibility.formula.oracle import validator
from weenats_codegen.compatibility.random_documents import documents
from weenats_codegen.compatibility.solve import objects
from weenats_codegen.ir.sizes import size_of

_D7: Final = {"$schema": "http://json-schema.org/draft-07/schema#"}
_A: Final = {"type": "object", "properties": {"a": {"type": "integer"}}}
_CLOSED: Final = {**_A, "additionalProperties": False}
_NODE: Final = {"type": "object", "properties": {"v": {"type": "integer"}, "n": {"$ref": "#"}}}
_WIDE_NODE: Final = {"type": "object", "properties": {"v": {"type": "number"}, "n": {"$ref": "#"}}}
_REFS: Final = {"$ref": "#/$defs/X", "$defs": {"X": {"type": "string", "maxLength": 3}}}
_RENAMED: Final = {"$ref": "#/$defs/Y", "$defs": {"Y": {"maxLength": 3, "type": "string"}}}
_CAT: Final = {"properties": {"k": {"const": "cat"}}, "required": ["k"]}
_DOG: Final = {"properties": {"k": {"const": "dog"}, "b": {"type": "string"}}, "required": ["k"]}

CASES: Final[dict[str, tuple[Any, Any, bool, bool]]] = {
    # old, new, whether new allows all of old, whether old allows all of new
    "optional member of a closed object": (
        _CLOSED,
        {**_CLOSED, "properties": {**_A["properties"], "b": {"type": "string"}}},
        True,
        False,
    ),
    "optional member of an open object": (
        _A,
        {**_A, "properties": {**_A["properties"], "b": {"type": "string"}}},
        False,
        True,
    ),
    "closing an object": (_A, _CLOSED, False, True),
    "member beside a pattern that covers it": (
        {**_CLOSED, "patternProperties": {"^x-": {"type": "string"}}},
        {
            **_CLOSED,
            "properties": {"a": {"type": "integer"}, "x-a": {"type": "string"}},
            "patternProperties": {"^x-": {"type": "string"}},
        },
        True,
        True,
    ),
    "member beside a pattern that does not cover it": (
        {**_CLOSED, "patternProperties": {"^x-": {"type": "string"}}},
        {
            **_CLOSED,
            "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
            "patternProperties": {"^x-": {"type": "string"}},
        },
        True,
        False,
    ),
    "narrower pattern of names": (
        {"type": "object", "patternProperties": {"^a": {"type": "null"}}},
        {"type": "object", "patternProperties": {"^ab": {"type": "null"}}},
        True,
        False,
    ),
    "oneOf in another order": ({"oneOf": [_CAT, _DOG]}, {"oneOf": [_DOG, _CAT]}, True, True),
    "oneOf that excludes itself as anyOf": (
        {"type": "object", "oneOf": [_CAT, _DOG]},
        {"type": "object", "anyOf": [_CAT, _DOG]},
        True,
        True,
    ),
    "another branch that overlaps": (
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "number"}]},
        False,
        False,
    ),
    "another value": ({"enum": ["a", "b"]}, {"enum": ["b", "a", "c"]}, True, False),
    "const as enum": ({"const": 1}, {"enum": [1.0]}, True, True),
    "integer to number": ({"type": "integer"}, {"type": "number"}, True, False),
    "integer as a multiple of one": (
        {"type": "integer"},
        {"type": "number", "multipleOf": 1},
        True,
        True,
    ),
    "multiples": ({"multipleOf": 6}, {"multipleOf": 3}, True, False),
    "decimal multiples": ({"multipleOf": 0.05}, {"multipleOf": 0.01}, True, False),
    "bounds that integers share": (
        {"type": "integer", "minimum": 1},
        {"type": "integer", "exclusiveMinimum": 0},
        True,
        True,
    ),
    "required member that has a default": (
        {**_A, "required": []},
        {
            "type": "object",
            "properties": {"a": {"type": "integer", "default": 1}},
            "required": ["a"],
        },
        False,
        True,
    ),
    "changed default": (
        {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}},
        {"type": "object", "properties": {"a": {"type": "integer", "default": 2}}},
        True,
        True,
    ),
    "renamed definition": (_REFS, _RENAMED, True, True),
    "reference written out": (_REFS, {"type": "string", "maxLength": 3}, True, True),
    "another draft": (
        {
            **_D7,
            "items": [{"type": "string"}],
            "additionalItems": False,
            "dependencies": {"a": ["b"]},
        },
        {"prefixItems": [{"type": "string"}], "items": False, "dependentRequired": {"a": ["b"]}},
        True,
        True,
    ),
    "siblings of a reference in another draft": (
        {
            **_D7,
            "definitions": {"X": {"type": "string"}},
            "allOf": [{"$ref": "#/definitions/X", "maxLength": 1}],
        },
        {"$defs": {"X": {"type": "string"}}, "allOf": [{"$ref": "#/$defs/X", "maxLength": 1}]},
        False,
        True,
    ),
    "recursion": (_NODE, _WIDE_NODE, True, False),
    "recursion, unrolled once": (
        _NODE,
        {
            "type": "object",
            "properties": {"v": {"type": "integer"}, "n": {"$ref": "#/$defs/N"}},
            "$defs": {
                "N": {**_NODE, "properties": {"v": {"type": "integer"}, "n": {"$ref": "#/$defs/N"}}}
            },
        },
        True,
        True,
    ),
    "pattern": (
        {"type": "string", "pattern": "^[a-z]{2,4}$"},
        {"type": "string", "pattern": "^[a-z0-9]+$"},
        True,
        False,
    ),
    "pattern against lengths": (
        {"type": "string", "pattern": "^\\d{3}$"},
        {"type": "string", "minLength": 3, "maxLength": 3},
        True,
        False,
    ),
    "pattern with a lookahead": (
        {"type": "string", "pattern": "^(?!tmp)[a-z]+$"},
        {"type": "string", "pattern": "^[a-z]+$"},
        True,
        False,
    ),
    "format against a pattern": (
        {"type": "string", "format": "date"},
        {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"},
        True,
        False,
    ),
    "format of a format": (
        {"type": "string", "format": "uri"},
        {"type": "string", "format": "uri-reference"},
        True,
        False,
    ),
    "dropped format": ({"type": "string", "format": "uuid"}, {"type": "string"}, True, False),
    "unevaluated members as additional ones": (
        {**_A, "unevaluatedProperties": False},
        _CLOSED,
        True,
        True,
    ),
    "unevaluated members of a conjunction": (
        {
            "allOf": [_A],
            "properties": {"b": True},
            "type": "object",
            "unevaluatedProperties": False,
        },
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": True},
            "additionalProperties": False,
        },
        True,
        True,
    ),
    "unevaluated members of alternatives": (
        {"type": "object", "anyOf": [_CAT, _DOG], "unevaluatedProperties": False},
        {
            "type": "object",
            "properties": {"k": {"enum": ["cat", "dog"]}, "b": {"type": "string"}},
            "required": ["k"],
            "additionalProperties": False,
        },
        True,
        False,
    ),
    "unevaluated items": (
        {
            "type": "array",
            "prefixItems": [True],
            "contains": {"const": 1},
            "unevaluatedItems": False,
        },
        {"type": "array", "prefixItems": [True], "items": {"const": 1}},
        True,
        False,
    ),
    "conditions": (
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "type": "object"},
        {"dependentRequired": {"a": ["b"]}, "type": "object"},
        True,
        True,
    ),
    "dependent schemas": (
        {"dependentSchemas": {"a": {"required": ["b"]}}},
        {"dependentRequired": {"a": ["b"]}},
        True,
        True,
    ),
    "names of members": (
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}},
        {"type": "object", "properties": {"a": True, "b": True}, "additionalProperties": False},
        True,
        True,
    ),
    "count of members that names limit": (
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}},
        {"type": "object", "maxProperties": 2},
        True,
        False,
    ),
    "unique items of a small type": (
        {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True},
        {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
        True,
        False,
    ),
    "counted items": (
        {"type": "array", "contains": {"const": 1}, "minContains": 2},
        {"type": "array", "minItems": 2},
        True,
        False,
    ),
    "tuple as list": (
        {"type": "array", "prefixItems": [{"type": "string"}] * 2, "items": False, "minItems": 2},
        {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
        True,
        True,
    ),
    "nothing": (False, {"type": "string"}, True, False),
    "an object that cannot be": (
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        {"type": "object", "maxProperties": 0},
        True,
        False,
    ),
    "negations": (
        {"not": {"type": "string"}},
        {"not": {"type": "string", "minLength": 1}},
        True,
        False,
    ),
    "unevaluated members of conditions": (
        {
            "type": "object",
            "if": {"properties": {"a": {"const": 1}}, "required": ["a"]},
            "then": {"properties": {"b": True}},
            "else": {"properties": {"c": True}},
            "dependentSchemas": {"b": {"properties": {"d": True}}},
            "unevaluatedProperties": False,
        },
        {"type": "object", "propertyNames": {"enum": ["a", "b", "c", "d"]}},
        True,
        False,
    ),
    "unevaluated members of references": (
        {
            "$defs": {"X": {"properties": {"a": True}, "patternProperties": {"^x": True}}},
            "$ref": "#/$defs/X",
            "type": "object",
            "unevaluatedProperties": {"type": "null"},
        },
        {
            "type": "object",
            "properties": {"a": True},
            "patternProperties": {"^x": True},
            "additionalProperties": {"type": "null"},
        },
        True,
        True,
    ),
    "unevaluated items of alternatives": (
        {
            "type": "array",
            "oneOf": [{"prefixItems": [{"const": 1}]}, {"prefixItems": [{"const": 2}, True]}],
            "minItems": 1,
            "unevaluatedItems": False,
        },
        {"type": "array", "minItems": 1, "maxItems": 2},
        True,
        False,
    ),
    "multiples within bounds": (
        {"type": "number", "multipleOf": 0.5, "minimum": -1, "maximum": 1},
        {"enum": [-1, -0.5, 0, 0.5, 1]},
        True,
        True,
    ),
    "multiples of two numbers": (
        {"type": "integer", "multipleOf": 4, "allOf": [{"multipleOf": 6}], "exclusiveMaximum": 0},
        {"type": "integer", "multipleOf": 12, "maximum": -12},
        True,
        True,
    ),
    "numbers with a hole": (
        {"type": "number", "minimum": 0, "exclusiveMaximum": 1e-7},
        {"type": "number", "minimum": 0, "maximum": 1e-7, "not": {"const": 5e-8}},
        False,
        False,
    ),
    "numbers that are not multiples": (
        {"type": "integer", "minimum": 1, "maximum": 9, "not": {"multipleOf": 2}},
        {"enum": [1, 3, 5, 7, 9]},
        True,
        True,
    ),
    "repeated items": (
        {"type": "array", "not": {"uniqueItems": True}},
        {"type": "array", "minItems": 2},
        True,
        False,
    ),
    "at most so many": (
        {"type": "array", "contains": {"type": "string"}, "minContains": 0, "maxContains": 1},
        {"type": "array", "contains": {"type": "string"}, "maxContains": 1, "minContains": 1},
        False,
        True,
    ),
    "excluded arrays and objects": (
        {"not": {"enum": [[1], {"a": 1}]}, "type": ["array", "object"], "maxItems": 1},
        {"type": ["array", "object"], "not": {"const": [1]}},
        True,
        False,
    ),
    "count of names": (
        {"type": "object", "minProperties": 3, "propertyNames": {"pattern": "^[ab]$"}},
        {"type": "object", "maxProperties": 0, "minProperties": 1},
        True,
        True,
    ),
    "names that break": (
        {"type": "object", "not": {"propertyNames": {"maxLength": 3}}},
        {"type": "object", "minProperties": 1},
        True,
        False,
    ),
    "many items": (
        {"type": "array", "maxItems": 500},
        {"type": "array", "maxItems": 400},
        False,
        True,
    ),
    "many members": (
        {"type": "object", "maxProperties": 50},
        {"type": "object", "maxProperties": 40},
        False,
        True,
    ),
    "none of several": (
        {"not": {"oneOf": [{"type": "string"}, {"type": "integer"}]}},
        {"not": {"type": ["string", "integer"]}},
        True,
        True,
    ),
    "huge numbers": ({"maximum": 10**40 - 1}, {"maximum": 10**40}, True, False),
    "null": ({"type": "string"}, {"type": ["string", "null"]}, True, False),
    "no value at all": ({"enum": []}, {"type": "string"}, True, False),
    "branches that always hold": (
        {"oneOf": [True, {}, {"type": "string"}]},
        {"type": "null"},
        True,
        False,
    ),
    "the empty array excluded": (
        {"type": "array", "not": {"const": []}},
        {"type": "array", "minItems": 1},
        True,
        True,
    ),
    "parts that allow everything": (
        {"allOf": [True, {"type": "string"}, {}]},
        {"type": "string"},
        True,
        True,
    ),
    "listed arrays with what they contain": (
        {"enum": [[1, 2], [3], [1, 1]], "contains": {"const": 1}, "maxContains": 1},
        {"const": [1, 2]},
        True,
        True,
    ),
    "listed objects with counts and names": (
        {
            "enum": [{"a": 1}, {"a": 1, "b": 1}, {"bb": 1, "a": 1}],
            "minProperties": 2,
            "propertyNames": {"maxLength": 1},
        },
        {"const": {"b": 1, "a": 1.0}},
        True,
        True,
    ),
    "listed objects with members of a pattern": (
        {
            "enum": [{"x": 1}, {"x": "1"}, {"y": 1}, {"z": 1}],
            "patternProperties": {"^x": {"type": "integer"}},
            "properties": {"z": True},
            "additionalProperties": False,
        },
        {"enum": [{"x": 1}, {"z": 1}]},
        True,
        True,
    ),
    "excluded lists of lists": (
        {"enum": [[1], [2], {"a": 1}], "not": {"enum": [[1], {"a": 1}, 7]}},
        {"const": [2]},
        True,
        True,
    ),
    "a limit that is included and excluded": (
        {"minimum": 1, "exclusiveMinimum": 1, "maximum": 3, "exclusiveMaximum": 3},
        {"exclusiveMinimum": 1, "exclusiveMaximum": 3},
        True,
        True,
    ),
    "limits that contradict one another": (
        {"type": "number", "maximum": 3, "exclusiveMaximum": 3, "minimum": 3},
        {"type": "number", "minimum": 3, "exclusiveMinimum": 3, "maximum": 3},
        True,
        True,
    ),
    "a limit that says more than another": (
        {"type": "number", "maximum": 3, "exclusiveMaximum": 3},
        {"type": "number", "maximum": 2},
        False,
        True,
    ),
    "several limits": (
        {
            "type": "integer",
            "minimum": 5,
            "allOf": [{"minimum": 3, "maximum": 7}, {"maximum": 9}, {"minimum": 4}],
        },
        {"enum": [5, 6, 7]},
        True,
        True,
    ),
    "numbers in a tiny range": (
        {"type": "number", "exclusiveMinimum": 1e-30, "exclusiveMaximum": 2e-30},
        {"type": "null"},
        False,
        False,
    ),
    "multiples that floats cannot hold": (
        {"type": "number", "multipleOf": 0.3, "minimum": 1e300},
        {"type": "null"},
        False,
        False,
    ),
    "one number that is a multiple": (
        {"type": "number", "minimum": 0.3, "maximum": 0.3},
        {"type": "number", "multipleOf": 0.1, "minimum": 0.3, "maximum": 0.35},
        True,
        True,
    ),
    "a required name that is too long": (
        {"type": "object", "required": ["abc"]},
        {"type": "object", "propertyNames": {"maxLength": 2}},
        False,
        False,
    ),
    "mutual recursion that never ends": (
        {
            "$ref": "#/$defs/A",
            "$defs": {
                "A": {
                    "type": "object",
                    "required": ["b"],
                    "properties": {"b": {"$ref": "#/$defs/B"}},
                },
                "B": {
                    "type": "object",
                    "required": ["a"],
                    "properties": {"a": {"$ref": "#/$defs/A"}},
                },
            },
        },
        False,
        True,
        True,
    ),
    "closed objects inside unevaluated members": (
        {
            "type": "object",
            "allOf": [True, {"properties": {"a": True}, "additionalProperties": {"type": "null"}}],
            "unevaluatedProperties": False,
        },
        {"type": "object", "properties": {"a": True}, "additionalProperties": {"type": "null"}},
        True,
        True,
    ),
    "branches beside unevaluated members that never or always hold": (
        {
            "type": "object",
            "anyOf": [False, True, {"properties": {"a": True}}],
            "if": True,
            "then": {"properties": {"b": True}},
            "unevaluatedProperties": False,
        },
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}},
        True,
        True,
    ),
    "all items evaluated elsewhere": (
        {"type": "array", "allOf": [{"items": {"type": "null"}}], "unevaluatedItems": False},
        {"type": "array", "items": {"type": "null"}},
        True,
        True,
    ),
    "unevaluated members inside unevaluated members": (
        {
            "type": "object",
            "allOf": [{"properties": {"a": True}, "unevaluatedProperties": {"type": "null"}}],
            "unevaluatedProperties": False,
        },
        {"type": "object", "properties": {"a": True}, "additionalProperties": {"type": "null"}},
        True,
        True,
    ),
    "repeated items of several kinds": (
        {
            "type": "array",
            "prefixItems": [{"const": 1}, {"const": 2}, {"enum": [2, 3]}],
            "items": False,
            "minItems": 3,
            "not": {"uniqueItems": True},
        },
        {"const": [1, 2, 2]},
        True,
        True,
    ),
    "repeated items that cannot be": (
        {
            "type": "array",
            "prefixItems": [{"const": 1}, {"const": 2}],
            "items": False,
            "not": {"uniqueItems": True},
        },
        False,
        True,
        True,
    ),
    "contained items that exclude one another": (
        {
            "type": "array",
            "contains": {"const": 1},
            "allOf": [{"contains": {"const": 2}}, {"contains": {"const": 3}}],
            "maxItems": 2,
        },
        False,
        True,
        True,
    ),
    "durations by their samples": (
        {"type": "string", "format": "duration"},
        {"type": "string", "pattern": "^P[^0-9]"},
        False,
        False,
    ),
    "patterns that are regular expressions": (
        {"type": "string"},
        {"type": "string", "format": "regex"},
        False,
        True,
    ),
    "escapes in classes": (
        {"type": "string", "pattern": "^[\\-\\t]$"},
        {"enum": ["-", "\t"]},
        True,
        True,
    ),
    "all but the first characters": (
        {"type": "string", "pattern": "^[^\\u0000-a]$"},
        {"type": "string", "minLength": 1, "maxLength": 1},
        True,
        False,
    ),
    "an e-mail address is not what many patterns say": (
        {"type": "string", "pattern": "^[^\\s@]+@[^\\s@]+$"},
        {"type": "string", "format": "email"},
        False,
        False,
    ),
    "a leap second": (
        {"type": "string", "format": "date-time"},
        {"type": "string", "pattern": "^....-..-..T..:[0-5].:[0-5]."},
        False,
        False,
    ),
    "all but the last characters": (
        {"type": "string", "pattern": "^[^b-\\u{10ffff}]$"},
        {"type": "string", "pattern": "^[\\u0000-a]$"},
        True,
        True,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_known_case(name: str, tmp_path: Path) -> None:
    """Each direction has the right verdict, and each counterexample is one."""
    old, new, is_wider, is_narrower = CASES[name]
    bundles = bundled(old, tmp_path), bundled(new, tmp_path)
    containments = Containments(*bundles)
    first, second = (validator(bundle, "Root") for bundle in bundles)
    for side, wide, narrow, expected in (
        (1, second, first, is_wider),
        (0, first, second, is_narrower),
    ):
        found = containments.allows_all("Root", 1 if side else 0, "Root")
        assert found.holds is expected, found
        if not expected:
            assert narrow.is_valid(found.counterexample)
            assert not wide.is_valid(found.counterexample)


def test_counterexample_is_small(tmp_path: Path) -> None:
    """A counterexample has nothing that it does not need."""
    members = {name: {"type": "string"} for name in "abcdef"}
    old = {"type": "object", "properties": members, "required": ["a"]}
    new = {**old, "properties": {**members, "f": {"type": "string", "maxLength": 2}}}
    found = Containments(bundled(old, tmp_path), bundled(new, tmp_path)).allows_all(
        "Root", 1, "Root"
    )
    assert found.counterexample == {"a": "", "f": "aaa"}


_BACK: Final = {"type": "string", "pattern": "^(.)\\1$"}
_SAME_BACK: Final = {"type": "string", "pattern": "^(.)(\\1)$"}
_INTEGERS: Final = {"type": "integer"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (_BACK, _SAME_BACK, "texts with formats and patterns"),
        ({"items": _BACK}, {"items": _SAME_BACK}, "texts with formats and patterns"),
        (
            {"type": "object", "additionalProperties": _BACK, "minProperties": 1},
            {"type": "object", "additionalProperties": _SAME_BACK},
            "texts with formats and patterns",
        ),
        (
            {"type": "object", "propertyNames": _BACK, "minProperties": 1},
            {"type": "object", "propertyNames": _SAME_BACK},
            "texts with formats and patterns",
        ),
        (
            {"type": "array", "items": _BACK, "contains": True, "maxItems": 1},
            {"type": "array", "items": _SAME_BACK, "uniqueItems": True},
            "texts with formats and patterns",
        ),
        (
            {
                "type": "object",
                "required": ["a"],
                "properties": {"a": {"allOf": [_BACK], "not": _SAME_BACK}},
            },
            False,
            "texts with formats and patterns",
        ),
        (
            {
                "type": "array",
                "prefixItems": [{"const": 1}, {"const": 1}, {"allOf": [_BACK], "not": _SAME_BACK}],
                "minItems": 3,
                "maxItems": 3,
                "not": {"uniqueItems": True},
            },
            False,
            "texts with formats and patterns",
        ),
        (
            {"type": "string", "format": "duration", "minLength": 12},
            {"type": "string", "not": {"pattern": "^P.*D.*D"}},
            "texts with formats and patterns",
        ),
        (
            {"type": "number", "minimum": 1e305, "maximum": 2e305, "not": _INTEGERS},
            {"type": "null"},
            "numbers",
        ),
        (
            {
                "type": "array",
                "prefixItems": [{"enum": [1, 2]}, {"const": 1}],
                "items": False,
                "minItems": 2,
                "uniqueItems": True,
            },
            {"const": [2, 1]},
            "different items",
        ),
        (
            {
                "type": "object",
                "propertyNames": {"enum": ["a", "b"]},
                "allOf": [
                    {"not": {"propertyNames": {"const": "a"}}},
                    *({"not": {"additionalProperties": {"not": {"const": at}}}} for at in range(3)),
                ],
            },
            False,
            "names",
        ),
    ],
)
def test_not_known(old: Any, new: Any, reason: str, tmp_path: Path) -> None:
    """Where neither a proof nor a counterexample is found, the verdict says what was tried."""
    found = Containments(bundled(old, tmp_path), bundled(new, tmp_path)).allows_all(
        "Root", 1, "Root"
    )
    assert found.holds is None
    assert found.tried[0].endswith(f": {reason}")
    assert len(found.tried) == 2


def test_many_patterns_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects whose members many patterns tell apart are not searched through."""
    monkeypatch.setattr(objects, "_MAX_SLOTS", 6)
    old = {"type": "object", "patternProperties": {key: {"type": "integer"} for key in "abcd"}}
    new = {"type": "object", "patternProperties": {key: {"type": "number"} for key in "abcd"}}
    found = Containments(bundled(old, tmp_path), bundled(new, tmp_path)).allows_all(
        "Root", 1, "Root"
    )
    assert found.tried[0].endswith(": many patterns of names")


def test_drawn_documents_decide_the_rest(tmp_path: Path) -> None:
    """Where the search ends without a result, a drawn document may be the counterexample."""
    old = {"type": "integer", "minimum": 0, "maximum": 1000}
    new = {"enum": [*range(900)]}
    found = Containments(bundled(old, tmp_path), bundled(new, tmp_path))
    assert found.allows_all("Root", 1, "Root").counterexample in range(900, 1001)


@pytest.mark.parametrize(
    "pattern",
    [
        "^x" + "".join(f"(?:(?=.?{letter})|)" for letter in "abcdefghijklm") + "x",
        "^x" + "(?=a.|a.|a.)" * 7 + "aa",
    ],
)
def test_patterns_that_are_too_large(pattern: str, tmp_path: Path) -> None:
    """Patterns whose automata would be too large are not known, and no crash."""
    old = {"type": "string", "pattern": pattern}
    new = {"type": "string", "pattern": "^y"}
    containments = Containments(bundled(old, tmp_path), bundled(new, tmp_path))
    found = containments.allows_all("Root", 1, "Root")
    assert found.holds is None
    assert found.tried[0].endswith(": a schema that is too deep or too large")


@pytest.mark.parametrize(
    "beside",
    [
        {"anyOf": [{"properties": {name: {"type": "integer"}}} for name in "abcdefghijk"]},
        {
            "$ref": "#/$defs/D0",
            "$defs": {
                **{
                    f"D{at}": {"allOf": [{"$ref": f"#/$defs/D{at + 1}"}, {"minProperties": 0}]}
                    for at in range(40)
                },
                "D40": {"properties": {"a": True}},
            },
        },
    ],
)
def test_ways_of_being_evaluated_are_bounded(beside: Any, tmp_path: Path) -> None:
    """Where members may be evaluated in too many ways, or too deep, it is not known."""
    old = {"type": "object", **beside, "unevaluatedProperties": False}
    new = {"type": "object", "propertyNames": {"enum": [*"abcdefghijk"]}}
    containments = Containments(bundled(old, tmp_path), bundled(new, tmp_path))
    assert containments.allows_all("Root", 1, "Root").holds is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "string", "maxLength": 10**9}, {"type": "string", "maxLength": 10**8}),
        ({"type": "array", "maxItems": 10**6}, {"type": "array", "maxItems": 10**5}),
        ({"type": "object", "maxProperties": 10**6}, {"type": "object", "maxProperties": 10**5}),
        ({"pattern": "^(a|b)*a(a|b){18}$"}, {"pattern": "^(a|b)*a(a|b){19}$"}),
    ],
)
def test_documents_that_are_too_large_are_not_made(old: Any, new: Any, tmp_path: Path) -> None:
    """Where only huge documents could tell, the verdict is that it is not known."""
    containments = Containments(bundled(old, tmp_path), bundled(new, tmp_path), steps=20_000)
    assert containments.allows_all("Root", 1, "Root").holds is None


def test_nesting_is_bounded(tmp_path: Path) -> None:
    """Schemas that are nested too deep for a search are not known, and no crash."""
    chain: Any = {
        f"D{at}": {"properties": {"a": {"$ref": f"#/$defs/D{at + 1}"}}, "required": ["a"]}
        for at in range(150)
    }
    old = {"$ref": "#/$defs/D0", "$defs": {**chain, "D150": {"type": "string"}}}
    new = {"$ref": "#/$defs/D0", "$defs": {**chain, "D150": {"type": "integer"}}}
    found = Containments(bundled(old, tmp_path), bundled(new, tmp_path)).allows_all(
        "Root", 1, "Root"
    )
    assert found.holds is None


def test_cost_is_bounded(tmp_path: Path) -> None:
    """A search that would take too long ends after a number of steps, the same everywhere."""
    branches = [
        {"oneOf": [{"required": [f"a{at}"]}, {"required": [f"b{at}"]}, {"minProperties": at + 9}]}
        for at in range(12)
    ]
    old = {"allOf": branches, "type": "object"}
    new = {"allOf": [*branches, {"maxProperties": 8}], "type": "object"}
    bundles = bundled(old, tmp_path), bundled(new, tmp_path)
    found = Containments(*bundles, steps=50).allows_all("Root", 1, "Root")
    assert found.holds is not True
    again = Containments(*bundles, steps=50).allows_all("Root", 1, "Root")
    assert found == again


def nested(levels: int, leaf: str) -> Any:
    """Return the schema of arrays of two arrays of two, and so on."""
    schema: Any = {"type": leaf}
    for _ in range(levels):
        schema = {"type": "array", "minItems": 2, "maxItems": 2, "items": schema}
    return schema


def test_documents_that_double_on_each_level_are_not_made(tmp_path: Path) -> None:
    """A small schema may have huge documents only: then what is found is not looked at."""
    bundles = [bundled(nested(18, leaf), tmp_path) for leaf in ("string", "integer")]
    found = Containments(*bundles).allows_all("Root", 1, "Root")
    assert found.holds is None
    assert found.tried[0].endswith(": a very large document")
    bundles = [bundled(nested(5, leaf), tmp_path) for leaf in ("string", "integer")]
    assert Containments(*bundles).allows_all("Root", 1, "Root").holds is False


def test_drawn_documents_are_bounded() -> None:
    """Documents that are drawn have a bounded number of parts, each and together."""
    wide: Any = {"a": 1}
    for _ in range(7):
        wide = {"type": "array", "minItems": 50, "items": wide}
    parts = Budget(10_000)
    drawn = [*documents({"D": wide}, "D", 3000, parts)]
    assert len(drawn) < 30
    assert sum(map(size_of, drawn)) < 30_000
    assert parts.left > -10_000
    assert [*documents({"D": wide}, "D", 3000, Budget(0))] == []


@pytest.mark.parametrize("count", [20, pytest.param(400, marks=pytest.mark.slow)])
def test_classes_of_a_chain_take_one_pass(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each definition says is read a few times, however long a chain of them is."""
    limit_calls(monkeypatch, definitions, "map_schemas", 20 * count)
    chains: list[dict[str, Any]] = [
        {
            **{f"D{at}": {"not": {"$ref": f"#/$defs/D{at + 1}"}} for at in range(count)},
            f"D{count}": {"type": leaf},
        }
        for leaf in ("string", "integer")
    ]
    found = definitions.Definitions(*chains)
    assert found.name(0, "D0") != found.name(1, "D0")
    same = definitions.Definitions(chains[0], dict(reversed(chains[0].items())))
    assert all(same.name(0, name) == same.name(1, name) for name in chains[0])

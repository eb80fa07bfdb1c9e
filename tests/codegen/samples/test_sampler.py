"""Samples: values that match their schemas."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from testkit.calls import limit_calls
from testkit.paths import GOLDEN_CONTRACTS, golden_name
from weenats_codegen.ir.bundle import Bundle
from weenats_codegen.ir.shapes.conjunction import Conjoiner
from weenats_codegen.ir.validity import refusal, validator
from weenats_codegen.loading import read
from weenats_codegen.samples import sampler as sampler_module
from weenats_codegen.samples.patterns import text_for
from weenats_codegen.samples.sampler import Sampler

NUMBER = {"type": "integer"}
ONE = {"type": "integer", "minimum": 1}
ONE_MEMBER = {"type": "object", "minProperties": 1}


def sample(schema: Any, **definitions: Any) -> Any:
    """Return the first sample of a schema; a list of none fails."""
    bundle = Bundle({"Sample": schema, **definitions}, {}, {})
    return Sampler(bundle).definition("Sample")[0]


@pytest.mark.parametrize("folder", GOLDEN_CONTRACTS, ids=golden_name)
def test_each_message_has_a_sample(folder: Path) -> None:
    """Each message of each contract has a sample that its schema accepts."""
    bundle = read(folder).bundle
    sampler = Sampler(bundle)
    for name in bundle.roots:
        values = sampler.definition(name)
        assert values
        assert all(refusal(bundle, bundle.definitions[name], value) is None for value in values)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "examples": [1, "Tea", "Milk"]}, "Tea"),
        ({"$ref": "#/$defs/Name"}, "Ada"),
        ({"type": "string", "format": "date"}, "2026-03-01"),
        ({"type": "string", "pattern": "^[A-Z]{2}-\\d{3}$"}, "AA-000"),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "integer", "minimum": 5, "multipleOf": 3}, 6),
        ({"type": "integer", "maximum": -5}, -5),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5}, 0.25),
        ({"type": "number", "exclusiveMinimum": 1}, 2),
        ({"type": "number", "minimum": 1e308, "multipleOf": 1e-320}, 1e308),
        ({"type": "integer", "minimum": 10**300, "multipleOf": 1e-300}, 10**300),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 1),
        ({"enum": ["a", "b"]}, "a"),
        ({"const": [1]}, [1]),
        ({"type": "integer", "default": 7}, 7),
        ({"properties": {"a": {"$ref": "#/$defs/Count"}}}, {"a": 3}),
        ({"$ref": "#/$defs/Count", "minimum": 4}, 5),
        ({"enum": ["a", "b"], "not": {"const": "a"}}, "b"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "items": NUMBER, "minItems": 2, "uniqueItems": True}, [1, 2]),
        ({"type": "array", "contains": {"const": 5}, "minContains": 2}, [5, 5]),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False}, [1, 2]),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": "a"}),
        ({"type": "object", "required": ["b"]}, {"b": "b"}),
        ({"type": "object", "properties": {"a": False, "b": True}}, {"b": "b"}),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"key": 1}),
        ({"type": "object", "minProperties": 2}, {"key": "key", "key2": "key2"}),
        ({"patternProperties": {"^x": {"type": "null"}}, **ONE_MEMBER}, {"x": None}),
        ({"type": "object", "propertyNames": {"pattern": "^k$"}, "minProperties": 1}, {"k": "k"}),
        ({"allOf": [{"type": "integer"}, {"minimum": 9}]}, 9),
        ({"anyOf": [{"const": 1, "type": "string"}, {"type": "integer"}]}, 1),
        ({"properties": {"a": {"const": 1}}}, {"a": 1}),
        ({"minItems": 1}, ["text"]),
        ({"minimum": 3}, 3),
        ({"type": "object", "properties": {"a": {"examples": [7, 8]}}}, {"a": 7}),
        ({"type": "string", "pattern": "\\p{L}"}, "text"),
        ({}, "text"),
    ],
)  # fmt: skip
def test_samples(schema: Any, value: Any) -> None:
    """The sample of a schema is a plain value that it accepts."""
    definitions = {
        "Name": {"$ref": "#/$defs/Other"},
        "Other": {"type": "string", "examples": ["Ada"]},
        "Count": {"type": "integer", "default": 3},
    }
    assert sample(schema, **definitions) == value


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"type": "string", "not": {}},
        {"enum": []},
        {"type": "object", "minProperties": 101},
        {"type": "array", "contains": {"const": 1}, "minContains": 2**63},
    ],
)
def test_schema_without_samples(schema: Any) -> None:
    """There is no sample of a schema that accepts nothing, or huge values only."""
    assert Sampler(Bundle({"Nothing": schema}, {}, {})).definition("Nothing") == []


def test_recursive_schema() -> None:
    """A schema that contains itself has a finite sample."""
    tree = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
            "next": {"$ref": "#/$defs/Tree"},
        },
    }
    assert sample({"$ref": "#/$defs/Tree"}, Tree=tree)["name"] == "name"


@pytest.mark.parametrize(
    "inner",
    [{"contains": {"$ref": "#/$defs/List"}}, {"minItems": 90, "items": {"$ref": "#/$defs/List"}}],
)
def test_schema_that_must_contain_itself(inner: Any) -> None:
    """A schema without finite values has no sample; the search for one ends."""
    bundle = Bundle({"List": {"type": "array", **inner}}, {}, {})
    assert Sampler(bundle).definition("List") == []


@pytest.mark.parametrize(
    "pattern",
    [
        "^a+b?c*$", "^(x|yz){2,3}$", "^[^a-z]$", "^[^a]b$", "^\\w\\W\\s\\S\\d\\D$", "^.{3}$", "",
        "^(?:a|b)$",
        "^[\\W]$", "^[\\u4e00-\\u4e10]$", "^(?=a)a$", "^[^\\x00-\\x1f]+$", "^[\\s]$",
        "^[\\d\\S]$", "^\\*$", "^[^\\x00-\\x7f]+$", "^[^\\w\\s.-]$",
    ],
)  # fmt: skip
def test_texts_match_their_patterns(pattern: str) -> None:
    """The text that is made for a pattern matches it."""
    text = text_for(pattern)
    assert text is not None
    assert re.search(pattern, text)


def test_pattern_that_python_warns_of() -> None:
    """A set that Python may read otherwise one day is no reason to warn."""
    assert text_for("^[a&&b]$") == "a"


def test_pattern_of_two_surrogates() -> None:
    """Two surrogates are one character, as in JavaScript."""
    assert text_for("^\\ud83d\\ude00$") == "\U0001f600"


@pytest.mark.parametrize("pattern", ["(", "^(a)\\1$", "^\\p{Lu}$", "^\\ud83d$", "^[^\\d\\D]$"])
def test_patterns_without_text(pattern: str) -> None:
    """A pattern that is not understood has no text."""
    assert text_for(pattern) is None


def test_hundreds_of_unions() -> None:
    """An allOf of many unions has a sample: its branches are not nested."""
    parts = [{"anyOf": [{"minimum": low}, {"type": "string"}]} for low in range(400)]
    assert sample({"type": "integer", "allOf": parts}) == 399


def test_samples_of_random_schemas() -> None:
    """What is returned matches, whatever the schema is; most schemas have a sample."""
    source, found = random.Random(5), 0  # noqa: S311 - the same schemas each time
    for _ in range(100):
        low = source.randint(-9, 9)
        schema: Any = source.choice([
            {"type": "integer", "minimum": low, "maximum": low + source.randint(0, 9)},
            {"type": "number", "exclusiveMinimum": low, "multipleOf": source.choice([0.5, 0.1, 3])},
            {"type": "array", "items": NUMBER, "minItems": abs(low), "uniqueItems": True},
            {"type": "string", "minLength": abs(low), "maxLength": abs(low) + 2},
            {"type": "object", "required": ["a"], "minProperties": abs(low) % 4},
        ])  # fmt: skip
        bundle = Bundle({"A": schema}, {}, {})
        values = Sampler(bundle).definition("A")
        assert all(map(validator(bundle, schema).is_valid, values))
        found += bool(values)
    assert found >= 90


def required_twice(count: int) -> dict[str, Any]:
    """Return definitions of which each requires the next one twice."""
    levels: dict[str, Any] = {f"D{count}": {"type": "object"}}
    for at in range(count):
        ref = {"$ref": f"#/$defs/D{at + 1}"}
        levels[f"D{at}"] = {
            "type": "object",
            "properties": {"a": ref, "b": ref},
            "required": ["a", "b"],
        }
    return levels


def test_sample_that_is_too_large_is_left_out() -> None:
    """Where even the smallest value doubles on each level, there is none, and one can tell why."""
    sampler = Sampler(Bundle({**required_twice(60), "Never": False}, {}, {}))
    assert sampler.definition("D0") == []
    assert sampler.is_too_large("D0")
    assert sampler.definition("D56") != []
    assert not sampler.is_too_large("D56")
    assert sampler.definition("Never") == []
    assert not sampler.is_too_large("Never")


@pytest.mark.parametrize("count", [15, 60, pytest.param(240, marks=pytest.mark.slow)])
def test_samples_cost_what_schemas_have(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each schema is looked at once, however many values have a part of it."""
    limit_calls(monkeypatch, Conjoiner, "conjoin", 20 * count)
    sampler = Sampler(Bundle(required_twice(count), {}, {}))
    for at in range(count):
        sampler.definition(f"D{at}")


def test_samples_of_all_definitions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the steps of all samples are spent, each definition has a few."""
    monkeypatch.setattr(sampler_module, "_ALL_STEPS", 0)
    monkeypatch.setattr(sampler_module, "_LEAST_STEPS", 3)
    member = {"type": "object", "properties": {"a": NUMBER}, "required": ["a"]}
    large = {"type": "array", "minItems": 5, "uniqueItems": True, "items": NUMBER}
    sampler = Sampler(Bundle({"Small": member, "Large": large}, {}, {}))
    assert sampler.definition("Small") == [{"a": 1}]
    assert sampler.definition("Large") == []
    assert sampler.is_too_large("Large")


def test_optional_members_leave_steps_for_the_required_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where values with all optional members take too many steps, those without them are tried."""
    monkeypatch.setattr(sampler_module, "_ALL_STEPS", 0)
    monkeypatch.setattr(sampler_module, "_LEAST_STEPS", 50)
    many = {f"m{at}": {"type": "array", "items": NUMBER} for at in range(100)}
    schema = {"type": "object", "properties": {"a": NUMBER, **many}, "required": ["a"]}
    assert sample(schema) == {"a": 1}


@pytest.mark.parametrize("steps", range(8, 20))
def test_unfinished_values_are_not_used_again(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the steps of a definition end, others that share schemas with it are made whole."""
    monkeypatch.setattr(sampler_module, "_ALL_STEPS", steps)
    monkeypatch.setattr(sampler_module, "_LEAST_STEPS", 8)
    part = {"type": "object", "properties": {"b": ONE, "c": ONE}, "required": ["b", "c"]}
    shared = {"type": "object", "properties": {"part": part}, "required": ["part"]}
    many = {"type": "array", "items": NUMBER, "minItems": 7, "uniqueItems": True}
    large = {
        "type": "object",
        "properties": {"many": many, "shared": {"$ref": "#/$defs/Shared"}},
        "required": ["many", "shared"],
    }
    small = {
        "type": "object",
        "properties": {"shared": {"$ref": "#/$defs/Shared"}},
        "required": ["shared"],
    }
    sampler = Sampler(Bundle({"Large": large, "Small": small, "Shared": shared}, {}, {}))
    sampler.definition("Large")
    assert sampler.definition("Small") == [{"shared": {"part": {"b": 1, "c": 1}}}]

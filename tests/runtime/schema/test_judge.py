"""Judges decide exactly, and their violations are few, cheap and without values."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weenats.schema import JsonSchemas, Schema

SLOW_PATTERN = r"^(a|aa)+\1?(?!a)c$"
DEFINITIONS: dict[str, Any] = {
    "Different": {"type": "array", "uniqueItems": True},
    "Even": {"type": "integer", "multipleOf": 2},
    "Cents": {"type": "number", "multipleOf": 0.01},
    "Day": {"type": "string", "format": "date"},
    "Digits": {"type": "string", "pattern": r"^\d+$"},
    "Slow": {"type": "string", "pattern": SLOW_PATTERN},
    "Evens": {"type": "array", "items": {"$ref": "#/$defs/Even"}},
    "Chain": {
        "oneOf": [
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/Chain"}}, "required": ["a"]},
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/Chain"}},
                "required": ["a", "b"],
            },
            {"const": 1},
        ]
    },
    "Order": {
        "type": "object",
        "required": ["id", "lines"],
        "properties": {
            "id": {"$ref": "#/$defs/Even"},
            "lines": {"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b", 1]}},
            "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Order"}]},
            "pair": {"prefixItems": [{"type": "string"}, {"type": "null"}], "items": False},
            "secret": False,
            "words": {"contains": {"const": "x"}, "minContains": 2},
        },
        "patternProperties": {"^n-": {"type": ["number", "null"]}},
        "allOf": [{"maxProperties": 6}],
        "if": {"required": ["pair"]},
        "then": {"required": ["words"]},
        "else": {"not": {"required": ["words"]}},
        "dependentSchemas": {"next": {"required": ["n-1"]}},
        "unevaluatedProperties": False,
    },
    "Closed": {
        "properties": {"a": {}},
        "additionalProperties": False,
        "propertyNames": {"maxLength": 3},
    },
}
JSON_SCHEMAS = JsonSchemas(json.dumps({"$defs": DEFINITIONS}))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Even", 4, True),
        ("Even", 4.0, True),
        ("Even", 10**30, True),
        ("Even", 10**30 + 1, False),
        ("Even", "4", False),
        ("Even", True, False),
        ("Cents", 0.07, True),
        ("Cents", Decimal("12345678901234567890.01"), True),
        ("Cents", Decimal("12345678901234567890.001"), False),
        ("Day", "2026-02-29", False),
        ("Digits", "\u0661", False),
        ("Slow", "aac", True),
        ("Slow", "a" * 1000, False),
    ],
)
def test_judge_decides_exactly(name: str, value: object, expected: bool) -> None:
    """Formats are asserted, patterns are those of ECMA-262, numbers are compared exactly."""
    assert JSON_SCHEMAS[name].is_valid(value) is expected
    assert bool(JSON_SCHEMAS[name].violations(value)) is not expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, {("", "type")}),
        ({"id": 2, "lines": []}, set()),
        ({}, {("/id", "required"), ("/lines", "required")}),
        ({"id": 3, "lines": []}, {("/id", "multipleOf")}),
        ({"id": 2, "lines": ["a", "a"]}, {("/lines", "uniqueItems")}),
        ({"id": 2, "lines": ["c", "d"]}, {("/lines/0", "enum"), ("/lines/1", "enum")}),
        ({"id": 2, "lines": [], "next": {}, "n-1": 1}, {("/next", "anyOf")}),
        ({"id": 2, "lines": [], "next": None}, {("/n-1", "required")}),
        ({"id": 2, "lines": [], "pair": []}, {("/words", "required")}),
        (
            {"id": 2, "lines": [], "words": ["x", "x"], "pair": ["x", 1, 2]},
            {("/pair/1", "type"), ("/pair/2", "items")},
        ),
        ({"id": 2, "lines": [], "words": ["x", "x"]}, {("", "not")}),
        ({"id": 2, "lines": [], "pair": [], "words": ["x"]}, {("/words", "contains")}),
        ({"id": 2, "lines": [], "secret": "s3cret"}, {("/secret", "properties")}),
        ({"id": 2, "lines": [], "n-/~": "x"}, {("/n-~1~0", "type")}),
        ({"id": 2, "lines": [], "other": 1}, {("", "unevaluatedProperties")}),
        ({"id": 2, "lines": []} | {f"n-{n}": n for n in range(9)}, {("", "maxProperties")}),
    ],
)  # fmt: skip
def test_violations_have_pointer_and_keyword(value: object, expected: set[tuple[str, str]]) -> None:
    """Each violation names the place in the value and the keyword, never a value."""
    found = JSON_SCHEMAS["Order"].violations(value)
    assert {(each.pointer, each.keyword) for each in found} == expected
    assert all(each.message for each in found)
    assert "s3cret" not in str(found)


def test_violations_of_closed_objects_name_the_member() -> None:
    """The pointer leads to the member that is not permitted; names have their own keyword."""
    found = JSON_SCHEMAS["Closed"].violations({"a": 1, "long": 1})
    assert [each.as_dict() for each in found] == [
        {
            "pointer": "",
            "keyword": "propertyNames",
            "message": "Input should have names of members that `propertyNames` allows",
        },
        {
            "pointer": "/long",
            "keyword": "additionalProperties",
            "message": "Extra inputs are not permitted",
        },
    ]


def test_messages_say_what_is_expected() -> None:
    """Messages have the value of the keyword, of a limited length."""
    schemas = JsonSchemas(
        json.dumps({"$defs": {"A": {"type": ["string", "null"]}, "B": {"enum": ["x" * 300, 1.5]}}})
    )
    assert schemas["A"].violations(5)[0].message == "Input should be a string or null"
    message = schemas["B"].violations(5)[0].message
    assert message.startswith('Input should be one of "xxx')
    assert len(message) == 200


def test_pattern_that_takes_too_long_is_a_violation() -> None:
    """Backtracking is limited; exceeding the limit is reported as that."""
    found = JSON_SCHEMAS["Slow"].violations("a" * 1000)
    assert [each.keyword for each in found] == ["pattern"]
    assert "takes too long" in found[0].message


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([1, True, "1", [1], {"a": 1}, None, 0, False, "null"], True),
        ([1, 1.0], False),
        ([0, -0.0], False),
        ([Decimal("1.10"), Decimal("1.1")], False),
        ([100, Decimal("1e2")], False),
        ([2**53, 2**53 + 1, float(2**54)], True),
        ([10**400, 10**400 + 1], True),
        ([10**300, 1e300], False),
        ([-0.5, Decimal("-5e-1")], False),
        ([-50, 50, -5.0e-7, 5e-7, 5e-324], True),
        ([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}], False),
        ([["a", "b"], ["a,b"], ["b", "a"]], True),
    ],
)
def test_items_are_equal_as_json_schema_says(items: list[Any], expected: bool) -> None:
    """Numbers are equal by their value, and not to values of other types."""
    assert JsonSchemas(json.dumps({"$defs": DEFINITIONS}))["Different"].is_valid(items) is expected


@pytest.mark.timing
@pytest.mark.parametrize(
    "value",
    [
        [10**40 + number for number in range(20_000)],
        [2**63 - number for number in range(40_000)],
        [number * (2**61 - 1) for number in range(40_000)],
        [number * 1e-300 for number in range(100_000)],
    ],
)
def test_numbers_cost_little_to_judge(value: object) -> None:
    """No numbers in a message of 1 MB keep a judge busy for more than a second or two."""
    judge = JsonSchemas(json.dumps({"$defs": DEFINITIONS}))["Different"]
    judge.compile()
    start = time.process_time()
    assert judge.is_valid(value)
    assert time.process_time() - start < 3


@pytest.mark.timing
@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(?=a)(a|a)*$", "a" * 40_000 + "b"),
        ("(?=.*x).*y", "x" * 300_000),
        (r"(a+)+\\1b", "a" * 40_000),
    ],
)
def test_patterns_cost_little_to_judge(pattern: str, text: str) -> None:
    """A pattern that looks around takes bounded time, wherever a match may begin."""
    schema = {"$defs": {"Text": {"pattern": pattern}}}
    judge = JsonSchemas(json.dumps(schema))["Text"]
    judge.compile()
    start = time.process_time()
    assert not judge.is_valid(text)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"late": "x" * 1000 + "ab"}, True),
        ({"late": "x" * 1000 + "cb"}, False),
        ({"xab": "one"}, False),
        ({"xab": 1, "zb": "one"}, True),
        ({"pattern": {"pattern": "(?=a)"}}, True),
        ({"pattern": {"pattern": "a"}}, False),
    ],
)
def test_patterns_may_match_anywhere(value: object, expected: bool) -> None:
    """Patterns that look around match at any position; constants are no patterns."""
    schema = {
        "properties": {
            "late": {"pattern": "(?<=a)b$"},
            "pattern": {"const": {"pattern": "(?=a)"}},
        },
        "patternProperties": {"(?<=a)b": {"type": "integer"}},
    }
    judge = JsonSchemas(json.dumps({"$defs": {"Named": schema}}))["Named"]
    assert judge.is_valid(value) is expected


def test_violations_are_limited() -> None:
    """At most 20 violations are listed, and pointers have at most 200 characters."""
    evens = JSON_SCHEMAS["Evens"]
    assert len(evens.violations([1] * 1000)) == 20
    late = evens.violations([2] * 100_000 + [1])
    assert [(each.pointer, each.keyword) for each in late] == [("", "")]
    found = JSON_SCHEMAS["Closed"].violations({"n" * 1000: 1})
    assert max(len(each.pointer) for each in found) == 200


def test_alternatives_within_alternatives_are_not_listed() -> None:
    """A recursive oneOf, whose errors would be 2 to the power of its depth, is one violation."""
    value: Any = 2
    for _ in range(190):
        value = {"a": value, "b": 1}
    found = JSON_SCHEMAS["Chain"].violations(value)
    assert [(each.pointer, each.keyword) for each in found] == [("", "oneOf")]


def test_schemas_are_compiled_on_first_use() -> None:
    """Nothing is parsed before; an unknown name and an invalid schema are errors of compile()."""
    assert JsonSchemas("not JSON")["A"].name == "A"
    with pytest.raises(KeyError, match="Nothing"):
        JSON_SCHEMAS["Nothing"].compile()
    with pytest.raises(ValueError, match="x"):
        JsonSchemas('{"$defs":{"A":{"type":"x"}}}')["A"].compile()
    assert JSON_SCHEMAS["Even"].compile() is JSON_SCHEMAS["Even"].compile()
    assert JSON_SCHEMAS["Even"] is JSON_SCHEMAS["Even"]
    assert repr(JSON_SCHEMAS["Even"]) == "Judge('Even')"


def test_threads_share_judges() -> None:
    """Threads that use a judge for the first time at once all get the right verdict."""
    for _ in range(10):
        judge = JsonSchemas(json.dumps({"$defs": DEFINITIONS}))["Order"]
        with ThreadPoolExecutor(8) as pool:
            verdicts = pool.map(judge.is_valid, [{"id": 2, "lines": []}, {}] * 20)
        assert list(verdicts) == [True, False] * 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_processes_share_judges() -> None:
    """A process that was forked after a judge was used can use it."""
    judge = JSON_SCHEMAS["Order"]
    expected = [True, False]
    assert [judge.is_valid(value) for value in ({"id": 2, "lines": []}, {})] == expected
    child = os.fork()
    if child == 0:
        verdicts = [judge.is_valid(value) for value in ({"id": 2, "lines": []}, {})]
        os._exit(0 if verdicts == expected and judge.violations({}) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_schema_describes_a_part() -> None:
    """A Schema has the Python type of a part and its judge."""
    part = Schema[list[int]](list[int], JSON_SCHEMAS["Evens"])
    assert part.type == list[int]
    assert part.judge is JSON_SCHEMAS["Evens"]
    assert repr(part) == "Schema[list[int]]"
    assert Schema[None](None).judge is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "x", "", 1.5]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "lines", "next", "pair", "secret", "words", "n-1", "zzzz"]),
            inner,
        )
    ),
)


@given(st.sampled_from(["Order", "Closed", "Chain", "Evens"]), VALUES)
def test_invalid_values_have_violations(name: str, value: object) -> None:
    """Whatever is invalid has at least one violation with a keyword; what is valid has none."""
    judge = JSON_SCHEMAS[name]
    found = judge.violations(value)
    assert bool(found) is not judge.is_valid(value)
    assert all(each.keyword for each in found)

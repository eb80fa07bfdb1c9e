"""Each reason for which a schema refuses documents is found, with its keyword and its place."""

from __future__ import annotations

from typing import Any

import pytest

from weenats_codegen.compatibility import reasons
from weenats_codegen.compatibility.budget import Allowance
from weenats_codegen.compatibility.reasons import Differences, place_of
from weenats_codegen.compatibility.simplify import simplified

_OBJECT: dict[str, Any] = {"type": "object"}
_REF = {"$ref": "#/$defs/X"}


def test_harmless_reasons_are_bounded() -> None:
    """However many definitions there are, not all that breaks nobody is passed over in each."""
    names = ["D0", "D1", "D2"]
    old, new = ({name: {"enum": [*values]} for name in names} for values in (range(60), [-1]))
    differences = Differences(old, new)
    found = [differences.refused(name, 1, name, is_harmless=lambda *_: True) for name in names]
    assert [len(each.reasons) for each in found] == [60, 60, 10]
    assert [each.rest.holds for each in found] == [True, True, None]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"enum": [1, 2, 3]}, {"enum": [1]}, ["enum", "enum"]),
        ({"enum": [1, 2]}, {"const": 1}, ["const"]),
        ({"enum": [1]}, False, ["false"]),
        ({**_OBJECT, "maxProperties": 1}, {**_OBJECT, "propertyNames": False}, ["propertyNames"]),
        (
            {**_OBJECT, "properties": {"a": {"const": 1}, "b": {"const": 1}}},
            {**_OBJECT, "properties": {"a": False, "b": {"const": 2}}},
            ["a", "const"],
        ),
        (
            {"type": "array", "items": {"type": "string"}, "maxItems": 2},
            {"type": "array", "prefixItems": [False, {"maxLength": 1}]},
            ["prefixItems", "maxLength"],
        ),
        (
            {**_OBJECT, "properties": {"a": {"const": 1}}, "additionalProperties": False},
            {**_OBJECT, "unevaluatedProperties": False},
            ["unevaluatedProperties"],
        ),
        (
            {"type": "array", "items": {"const": 1}},
            {"type": "array", "uniqueItems": True, "maxItems": 9},
            ["maxItems", "uniqueItems"],
        ),
        ({"type": "array"}, {"type": "array", "items": False}, ["items"]),
        (
            {"type": "string"},
            {"allOf": [{"type": "string", "maxLength": 4}, {"minLength": 1}]},
            ["maxLength", "minLength"],
        ),
    ],
)
def test_reasons(old: Any, new: Any, expected: list[str]) -> None:
    """Every reason is found, in an order that is always the same; then nothing is left."""
    found = Differences({"R": old}, {"R": new}).refused("R", 1, "R")
    assert sorted(reason.keyword for reason in found.reasons) == sorted(expected)
    assert found.rest.holds is True
    again = Differences({"R": old}, {"R": new}).refused("R", 1, "R")
    assert again == found


def test_reasons_are_limited() -> None:
    """No more reasons are looked for than asked."""
    old = {**_OBJECT, "properties": dict.fromkeys("abc", True)}
    new = {**_OBJECT, "required": ["a", "b", "c"]}
    assert len(Differences({"R": old}, {"R": new}).refused("R", 1, "R", 2).reasons) == 2


def test_place_of_a_part() -> None:
    """The schema of a part of documents is found through references, members and items."""
    definitions: dict[str, Any] = {
        "R": {
            "properties": {"a": _REF, "l": {"prefixItems": [_REF], "items": {"type": "null"}}},
            "additionalProperties": {"type": "string"},
        },
        "X": {"properties": {"b": True}},
        "L": {"$ref": "#/$defs/L"},
    }
    assert place_of(definitions, "R", ("a", "b")) == ("X", ("properties", "b"))
    assert place_of(definitions, "R", ("a", "c")) == ("X", ())
    assert place_of(definitions, "R", ("l", 0)) == ("X", ())
    assert place_of(definitions, "R", ("l", 1)) == ("R", ("properties", "l", "items"))
    assert place_of(definitions, "R", ("z",)) == ("R", ("additionalProperties",))
    assert place_of(definitions, "X", ("b", "c")) == ("X", ("properties", "b"))
    assert place_of(definitions, "X", (0,)) == ("X", ())
    assert place_of(definitions, "L", ()) == ("L", ())


def test_simplified() -> None:
    """A value loses all that it does not need, in a bounded number of tries."""
    value = {"a": [1, "x" * 40, {"b": 1}], "c": 2}
    assert simplified(value, lambda each: isinstance(each, dict) and "a" in each) == {"a": []}
    assert simplified("x" * 40, lambda each: isinstance(each, str) and len(each) > 20) == "x" * 21
    many = {f"m{at}": at for at in range(3000)}
    assert simplified(many, lambda each: each == many) == many


def test_cost_of_all_searches_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the steps of all searches are spent, one search has few, and looks for one reason."""
    names = [f"D{at}" for at in range(4)]
    old = {
        name: {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}} for name in names
    }
    new = {name: {"properties": {"a": False, "b": False}} for name in names}
    monkeypatch.setattr(reasons, "_LEAST_STEPS", 500)
    monkeypatch.setattr(reasons, "_MANY_REASONS", 3)
    differences = Differences(old, new, Allowance(steps=0))
    found = [differences.refused(name, 1, name) for name in names]
    assert [len(each.reasons) for each in found] == [2, 2, 1, 1]
    monkeypatch.setattr(reasons, "_LEAST_STEPS", 0)
    [rest] = [Differences(old, new, Allowance(steps=0)).refused("D0", 1, "D0").rest]
    assert rest.holds is not True


def test_comparisons_share_what_they_may_cost() -> None:
    """Comparisons with one allowance together cost what one of them may, and a little."""
    letters = "abcdefghijklmnop"
    either: Any = [
        {"oneOf": [{"properties": {name: {"type": kind}}} for kind in ("string", "integer")]}
        for name in letters
    ]
    old: Any = {"D": {"allOf": either}}
    new: Any = {"D": {"allOf": either, "maxProperties": len(letters)}}
    allowance = Allowance(steps=20_000, parts=20_000)
    found = [Differences(old, new, allowance).refused("D", 0, "D") for _ in range(5)]
    assert all(each.rest.holds is not False for each in found)
    assert allowance.steps > -5 * 1_000 - 10
    assert allowance.parts > -5 * 4_000

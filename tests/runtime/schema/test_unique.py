"""Items that are equal, and how much of them is read to know it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from weenats.schema import unique
from weenats.schema.compiler import compiled
from weenats.schema.unique import UniqueItems

UNIQUE = compiled({"uniqueItems": True}, {})
NESTED = {"Items": {"uniqueItems": True, "items": {"$ref": "#/$defs/Items"}}}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from(["", "1", "a", 1.5, -0.0, 2.0]),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "1"]), part, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=6))
def test_equal_items_are_found(items: list[Any]) -> None:
    """The verdict is that of jsonschema-rs, which compares items in its own way."""
    for each in (items, [[item] for item in items], [{"x": item} for item in items]):
        plain = Draft202012Validator({"uniqueItems": True}).is_valid(each)
        assert UNIQUE.is_valid(each) is plain


@pytest.mark.parametrize(
    ("items", "is_valid"),
    [
        ([1, 1.0], False), ([1, True], True), ([0, False, None, "", [], {}], True),
        ([Decimal("0.10"), 0.1], False), ([1e22, 10**22], False), ([-0.0, 0], False),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1.0}], False), ([{"a": "b"}, {"b": "a"}], True),
        ([["a", "b"], {"a": "b"}], True), ([[[], []], [[[]]]], True),
        ([{"a": {}}, {"a": []}], True),
        ([[1, [2, [3]]], [1, [2, [3]]], 5], False), ([[1, [2, [3]]], [1, [2, [4]]], 5], True),
        ([], True), (["[1", [1]], True),
    ],
)  # fmt: skip
def test_equality_of_json_values(items: list[Any], *, is_valid: bool) -> None:
    """Numbers are equal by value, objects whatever their order; types are never equal."""
    assert UNIQUE.is_valid(items) is is_valid


@pytest.mark.parametrize("off", [False, None])
def test_keyword_can_be_off(off: object) -> None:
    """`uniqueItems: false` allows equal items."""
    UniqueItems({}, off, []).validate([1, 1])


def test_inner_items_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays inside of arrays do not multiply the cost of the innermost one."""
    read: list[object] = []
    token = unique._token

    def counted(value: object) -> str:
        read.append(value)
        return token(value)

    monkeypatch.setattr(unique, "_token", counted)
    inner = [*range(2_000)]
    deep: list[Any] = inner
    for _ in range(190):
        deep = [deep, [1]]
    judge = compiled({"$ref": "#/$defs/Items"}, NESTED)
    assert judge.is_valid(deep)
    assert len(read) < 2 * len(inner)
    read.clear()
    assert not judge.is_valid([[*inner, 1], [*inner, 1]])
    assert len(read) < 4 * len(inner)

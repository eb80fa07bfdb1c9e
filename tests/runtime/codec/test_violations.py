"""JSON pointers of violations in messages."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from weenats import Model
from weenats.codec.violations import violations


class Carrier(Model):
    """One member of the union."""

    kind: Literal["carrier"]
    weight: int


class Pickup(Model):
    """The other member of the union."""

    kind: Literal["pickup"]
    shop: str


class Shipping(Model):
    """A model with plain and discriminated unions."""

    plain: list[Carrier | Pickup]
    told: Annotated[Carrier | Pickup, Field(discriminator="kind")]
    prices: dict[str, float]


GOOD: dict[str, Any] = {
    "plain": [],
    "told": {"kind": "pickup", "shop": "x"},
    "prices": {"a/b": 1.0},
}


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"told": {"kind": "carrier", "weight": "x"}}, {"/told/weight"}),
        ({"told": {"kind": "carrier"}}, {"/told/weight"}),
        ({"told": {"kind": "boat"}}, {"/told"}),
        (
            {"plain": [{"kind": "carrier", "weight": "x"}]},
            {"/plain/0/weight", "/plain/0/kind", "/plain/0/shop"},
        ),
        ({"plain": [5]}, {"/plain/0"}),
        ({"prices": {"a/b": "x", "~": "x"}}, {"/prices/a~1b", "/prices/~0"}),
        ({"prices": 5}, {"/prices"}),
    ],
)  # fmt: skip
def test_pointers_refer_to_the_message(change: dict[str, Any], pointers: set[str]) -> None:
    """Pointers contain no Python class names, and missing members are reported in place."""
    data = json.dumps({**GOOD, **change}).encode()
    with pytest.raises(ValidationError) as error:
        TypeAdapter(Shipping).validate_json(data, strict=True, by_alias=True, by_name=False)
    assert {each["pointer"] for each in violations(error.value, data)} == pointers


def test_listing_violations_is_bounded() -> None:
    """A large message of nothing but violations is counted: listing all would take seconds."""
    document = json.dumps({**GOOD, "prices": {str(number): "x" for number in range(1001)}}).encode()
    with pytest.raises(ValidationError) as invalid:
        Shipping.model_validate_json(document)
    assert violations(invalid.value, document) == [
        {"pointer": "", "message": "1001 violations, which is too many to list"}
    ]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("^a$", "String should match pattern '^a$'"),
        (f"^{'a' * 100}$", "String should match the pattern of its schema"),
    ],
)
def test_long_patterns_are_not_shown(pattern: str, message: str) -> None:
    """A pattern of a version or a time would hide which member is wrong."""
    with pytest.raises(ValidationError) as invalid:
        TypeAdapter(Annotated[str, Field(pattern=pattern)]).validate_python("b")
    assert [each["message"] for each in violations(invalid.value)] == [message]

"""Pointers of violations lead to what stands in the message, whatever pydantic calls it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from weenats import Model
from weenats.codec.violations import violations


class Carrier(Model):
    """One branch."""

    kind: Literal["carrier"]
    weight: int


class Pickup(Model):
    """The other branch."""

    kind: Literal["pickup"]
    shop: str


class Shipping(Model):
    """Holds unions, plain and told apart by a member."""

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
def test_pointers_lead_into_the_message(change: dict[str, Any], pointers: set[str]) -> None:
    """No name of a Python class stands in a pointer; missing members are named where they lack."""
    data = json.dumps({**GOOD, **change}).encode()
    with pytest.raises(ValidationError) as error:
        Shipping.model_validate_json(data, strict=True, by_alias=True, by_name=False)
    assert {each["pointer"] for each in violations(error.value, data)} == pointers

"""The base class of models: strict, wire aliases, and MISSING for absent members."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest
from pydantic import MISSING, Field, ValidationError

from weenats.model import Model


class Part(Model):
    """A model with every kind of member that contracts have."""

    count: int
    price: float
    on: bool
    text: str
    line_total: Annotated[float | MISSING, Field(alias="lineTotal")] = MISSING
    kind: Literal["a", "b"] | MISSING = MISSING
    parts: list[Part] | MISSING = MISSING


GOOD: dict[str, Any] = {"count": 1, "price": 0.5, "on": True, "text": "x"}


def from_wire(**members: Any) -> Part:
    """Validate JSON like the runtime does: strict, by wire names only."""
    import json

    return Part.model_validate_json(
        json.dumps({**GOOD, **members}), strict=True, by_alias=True, by_name=False
    )


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("count", "1"), ("count", 1.5), ("count", True), ("count", None), ("count", [1]),
        ("price", "0.5"), ("price", True), ("price", math.nan), ("price", math.inf),
        ("price", None), ("on", 1), ("on", "true"), ("on", 0), ("text", 5), ("text", None),
        ("text", ["x"]),
        ("lineTotal", None), ("lineTotal", "1"), ("kind", "c"), ("kind", None), ("kind", "A"),
        ("parts", None), ("parts", {}), ("parts", [None]), ("parts", [{"count": 1}]),
    ],
)  # fmt: skip
def test_values_are_not_coerced(member: str, value: Any) -> None:
    """Wrong types are rejected from JSON and in Python, null for optional members too."""
    with pytest.raises(ValidationError):
        from_wire(**{member: value})
    with pytest.raises(ValidationError):
        Part(**{**GOOD, member: value})


def test_integers_are_accepted_as_floats() -> None:
    """1 is a valid float, but 1.0 is not a valid integer."""
    assert from_wire(price=1).price == 1.0
    assert Part(**{**GOOD, "price": 1}).price == 1.0
    with pytest.raises(ValidationError):
        from_wire(count=1.0)


@pytest.mark.parametrize("member", GOOD)
def test_required_members_are_required(member: str) -> None:
    """A member without a default must be given."""
    with pytest.raises(ValidationError, match="required"):
        Part(**{name: value for name, value in GOOD.items() if name != member})


def test_json_accepts_aliases_only() -> None:
    """In Python both names work; in JSON the Python name is an unknown member."""
    assert Part(**GOOD, line_total=1.0) == Part(**GOOD, lineTotal=1.0)
    assert from_wire(lineTotal=1.0).line_total == 1.0
    assert from_wire(line_total=1.0).line_total is MISSING


def test_missing_members_are_not_serialized() -> None:
    """An absent optional member is MISSING, never null."""
    part = Part(**GOOD)
    assert part.line_total is MISSING
    assert part.model_dump_json() == '{"count":1,"price":0.5,"on":true,"text":"x"}'
    assert '"lineTotal":1.0' in Part(**GOOD, line_total=1).model_dump_json()
    assert Part.model_validate_json(part.model_dump_json()) == part


def test_non_finite_numbers_are_rejected() -> None:
    """NaN and infinities cannot be constructed, so they cannot be sent."""
    for number in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValidationError, match="finite"):
            Part(**{**GOOD, "price": number})

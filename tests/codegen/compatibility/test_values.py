"""JSON values as JSON Schema compares them."""

from __future__ import annotations

from fractions import Fraction

from weenats_codegen.compatibility.formula.values import exact, identity, number_of


def test_equal_values_have_one_identity() -> None:
    """Numbers are equal by what they mean; booleans are no numbers; members have no order."""
    assert identity(1) == identity(1.0)
    assert identity(value=True) != identity(1)
    assert identity({"a": [1], "b": None}) == identity({"b": None, "a": [1.0]})
    assert exact(0.1) == Fraction(1, 10)


def test_numbers_for_json() -> None:
    """A number is what floats and integers can hold, else there is none."""
    assert number_of(Fraction(10**400)) == 10**400
    assert number_of(Fraction(1, 10)) == 0.1
    assert number_of(Fraction(1, 3)) is None
    assert number_of(Fraction(10**400, 3)) is None

"""Multiples of fractions, whatever the exponents and digits of a number are."""

from __future__ import annotations

import sys
import time
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weenats.schema.compiler import compiled
from weenats.schema.multiple import MultipleOf

STEPS = [0.01, 0.5, 2.5e-7, 0.3, 1.5, 1e-300, 7.25e200]
JUDGES = {step: compiled({"multipleOf": step}, {}) for step in STEPS}
DECIMALS = st.builds(
    lambda digits, exponent: Decimal(f"{digits}e{exponent}"),
    st.integers(-(10**12), 10**12) | st.sampled_from([0, 3, 75, 3 * 10**70, -725 * 10**90 - 1]),
    st.integers(-30, 30) | st.integers(-400, 400),
)


@given(st.sampled_from(STEPS), DECIMALS)
@example(0.3, Decimal("9e306"))
@example(0.3, Decimal("1.1e308"))
@example(0.01, Decimal("1" * 80 + ".010"))
@example(0.01, Decimal("1" * 80 + ".001"))
def test_decimals_are_multiples_exactly(step: float, number: Decimal) -> None:
    """The verdict is that of fractions."""
    quotient = Fraction(number) / Fraction(repr(step))
    assert JUDGES[step].is_valid(number) is (quotient.denominator == 1)


@given(st.sampled_from(STEPS), st.floats(allow_nan=False, allow_infinity=False) | st.integers())
@example(0.01, 19.99)
@example(0.3, 1.1e308)
@example(0.3, sys.float_info.min)
def test_floats_are_what_is_written(step: float, number: float) -> None:
    """A float is the decimal number that it is written as."""
    quotient = Fraction(str(number)) / Fraction(repr(step))
    assert JUDGES[step].is_valid(number) is (quotient.denominator == 1)


@pytest.mark.parametrize("value", [True, False, None, "1", [], {}])
def test_what_is_no_number_is_valid(value: object) -> None:
    """The keyword is about numbers only, and true is not one."""
    MultipleOf({}, 0.3, []).validate(value)
    assert JUDGES[0.3].is_valid(value)


@pytest.mark.parametrize(
    "text", ["1e999999999999999", "8" + "0" * 200_000 + ".5", "-1e-999999999999999", "0e99999999"]
)
def test_extreme_numbers_are_judged(text: str) -> None:
    """Neither exponents nor digits multiply the time; a number that is too small is no multiple."""
    is_small = "e-" in text
    assert JUDGES[0.5].is_valid(Decimal(text)) is not is_small
    assert JUDGES[0.3].is_valid(Decimal(text)) is text.startswith("0")


@pytest.mark.timing
def test_large_numbers_cost_little_to_judge() -> None:
    """A message of 1 MB with large numbers keeps a judge busy for less than a second or two."""
    judge = compiled({"items": {"multipleOf": 0.01}}, {})
    value = [Decimal("1.1e308")] * 100_000
    start = time.process_time()
    assert judge.is_valid(value)
    assert time.process_time() - start < 3

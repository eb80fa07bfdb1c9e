"""Numbers between limits that are multiples of some numbers and not of others."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.compatibility.formula.atoms import Above, Multiple
from weenats_codegen.compatibility.formula.values import number_of
from weenats_codegen.compatibility.solve.outcome import NOTHING, Found, Outcome, Unknown

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from weenats_codegen.compatibility.formula.atoms import Atom

_MAX_CANDIDATES: Final = 300
_FAR: Final = Fraction(1000)


class _Range(NamedTuple):
    low: Fraction | None
    high: Fraction | None
    has_low: bool
    has_high: bool

    def has(self, number: Fraction) -> bool:
        return (
            self.low is None or number > self.low or (number == self.low and self.has_low)
        ) and (self.high is None or number < self.high or (number == self.high and self.has_high))

    @property
    def is_empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        is_point = self.low == self.high
        return self.low > self.high or (is_point and not (self.has_low and self.has_high))


def find_number(atoms: Mapping[Atom, bool], excluded: frozenset[Hashable]) -> Outcome:
    """Return a number.

    Args:
        atoms: What must hold of it, and what must not.
        excluded: The identities of the numbers that it must not be.
    """
    bounds = _range(atoms)
    wanted = [each.divisor for each in atoms if isinstance(each, Multiple) and atoms[each]]
    unwanted = [each.divisor for each in atoms if isinstance(each, Multiple) and not atoms[each]]
    step = _common_multiple(wanted)
    if bounds.is_empty or any(step and step % divisor == 0 for divisor in unwanted):
        return NOTHING
    count, is_cut = 0, False
    for number in _multiples(bounds, step) if step else _numbers(bounds):
        count += 1
        if count > _MAX_CANDIDATES:
            is_cut = True
            break
        if not bounds.has(number) or any(number % divisor == 0 for divisor in unwanted):
            continue
        value = number_of(number)
        if ("number", number) in excluded:
            continue
        if value is not None:
            return Found(value)
        is_cut = True
    is_complete = step or (bounds.low is not None and bounds.low == bounds.high)
    return NOTHING if is_complete and not is_cut else Unknown("numbers")


def _range(atoms: Mapping[Atom, bool]) -> _Range:
    bounds = _Range(None, None, has_low=False, has_high=False)
    for atom, is_met in atoms.items():
        if not isinstance(atom, Above):
            continue
        limit = atom.limit
        if is_met:
            is_included = not atom.is_exclusive
            if bounds.low is None or limit > bounds.low:
                bounds = bounds._replace(low=limit, has_low=is_included)
            elif limit == bounds.low:
                bounds = bounds._replace(has_low=bounds.has_low and is_included)
        else:
            is_included = atom.is_exclusive
            if bounds.high is None or limit < bounds.high:
                bounds = bounds._replace(high=limit, has_high=is_included)
            elif limit == bounds.high:
                bounds = bounds._replace(has_high=bounds.has_high and is_included)
    return bounds


def _common_multiple(numbers: list[Fraction]) -> Fraction | None:
    """Return the smallest number that is a multiple of all of some numbers."""
    result: Fraction | None = None
    for number in numbers:
        if result is None:
            result = number
        else:
            numerator = math.lcm(
                result.numerator * number.denominator, number.numerator * result.denominator
            )
            result = Fraction(numerator, result.denominator * number.denominator)
    return result


def _multiples(bounds: _Range, step: Fraction) -> Iterator[Fraction]:
    """Yield the multiples of a number within bounds."""
    low = None if bounds.low is None else math.ceil(bounds.low / step)
    high = None if bounds.high is None else math.floor(bounds.high / step)
    if low is not None and (low > 0 or high is None or high < 0 or low >= -_MAX_CANDIDATES):
        at, change = low, 1
    elif high is not None:
        at, change = high, -1
    else:
        at, change = 0, 1
    while (low is None or at >= low) and (high is None or at <= high):
        yield at * step
        at += change


def _numbers(bounds: _Range) -> Iterator[Fraction]:
    """Yield some numbers within bounds, simple ones first."""
    low, high = bounds.low, bounds.high
    if low is None:
        low = -_FAR if high is None else high - _FAR
    if high is None:
        high = low + _FAR
    yield from (low, high)
    yield from (Fraction(number) for number in ("0", "1", "2", "-1", "1/2", "3/2", "-1/2"))
    yield from (Fraction(math.floor(low) + add) for add in (1, 2, 3))
    yield from (Fraction(math.ceil(high) - less) for less in (1, 2, 3))
    width = high - low
    for digits in range(1, 18):
        unit = Fraction(1, 10**digits)
        start = math.floor(low / unit) * unit
        for add in (1, 2, 3, 5, 7):
            yield start + add * unit
    for part in range(1, 30):
        middle = low + width * Fraction(part, 30)
        yield Fraction(str(float(middle))) if abs(middle) < 10**300 else Fraction(int(middle))

"""Formulas: each exists once, so that equal ones are the same object, and has one negation."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final, cast

from typing_extensions import override

from weenats_codegen.compatibility.formula.atoms import (
    Has,
    Items,
    ItemsFrom,
    MemberNamed,
    type_of_atom,
)
from weenats_codegen.compatibility.formula.values import TYPES, identity, type_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from pydantic import JsonValue

    from weenats_codegen.compatibility.formula.atoms import Atom


class Kind(Enum):
    """What a formula is made of."""

    ALL = auto()
    ANY = auto()
    ONE = auto()
    NOT_ONE = auto()
    DEFINITION = auto()
    NOT_DEFINITION = auto()
    TYPES = auto()
    VALUES = auto()
    NOT_VALUES = auto()
    ATOM = auto()
    NOT_ATOM = auto()


_NEGATED: Final = {
    Kind.ALL: Kind.ANY,
    Kind.ANY: Kind.ALL,
    Kind.ONE: Kind.NOT_ONE,
    Kind.NOT_ONE: Kind.ONE,
    Kind.DEFINITION: Kind.NOT_DEFINITION,
    Kind.NOT_DEFINITION: Kind.DEFINITION,
    Kind.TYPES: Kind.TYPES,
    Kind.VALUES: Kind.NOT_VALUES,
    Kind.NOT_VALUES: Kind.VALUES,
    Kind.ATOM: Kind.NOT_ATOM,
    Kind.NOT_ATOM: Kind.ATOM,
}


class Formula:
    """What a value may be.

    Attributes:
        kind: What it is made of.
        number: Its place in the order in which formulas were made.
        parts: The formulas that ALL, ANY, ONE and NOT_ONE combine.
        name: The definition.
        types: The types of TYPES.
        values: The values of VALUES and NOT_VALUES, by their identities.
        atom: A constraint on values of one type.
        is_met: Whether values of the type must meet it or break it. ATOM holds for all values of
            other types; NOT_ATOM holds for none, and otherwise says the opposite.
    """

    __slots__ = (
        *("atom", "is_met", "kind", "name", "negation", "number", "parts", "types", "values"),
    )

    def __init__(self, kind: Kind, number: int) -> None:
        """Initialize a formula without content."""
        self.kind: Final = kind
        self.number: Final = number
        self.parts: tuple[Formula, ...] = ()
        self.name = ""
        self.types: frozenset[str] = frozenset()
        self.values: dict[Hashable, JsonValue] = {}
        self.atom: Atom | None = None
        self.is_met = True
        self.negation: Formula | None = None

    @override
    def __hash__(self) -> int:
        """Return what is the same in every process, so that sets have the same order."""
        return self.number

    @override
    def __eq__(self, other: object) -> bool:
        return self is other


class Formulas:
    """Makes formulas.

    Attributes:
        true: Holds for every value.
        false: Holds for none.
    """

    def __init__(self) -> None:
        """Initialize a factory that has made nothing but `true` and `false`."""
        self._made: Final[dict[tuple[Kind, Hashable], Formula]] = {}
        self.true: Final = self._get(Kind.ALL, ())
        self.false: Final = self._get(Kind.ANY, ())

    def all(self, parts: Iterable[Formula]) -> Formula:
        """Return the formula that holds if all parts hold."""
        return self._combined(Kind.ALL, parts, self.true, self.false)

    def any(self, parts: Iterable[Formula]) -> Formula:
        """Return the formula that holds if one part or more hold."""
        return self._combined(Kind.ANY, parts, self.false, self.true)

    def one(self, parts: Sequence[Formula]) -> Formula:
        """Return the formula that holds if exactly one part holds."""
        kept = [part for part in parts if part is not self.false]
        if len(kept) <= 1:
            return kept[0] if kept else self.false
        if kept.count(self.true) > 1:
            return self.false
        if self.true in kept:
            return self.all(self.negation(part) for part in kept if part is not self.true)
        return self._get(Kind.ONE, tuple(sorted(kept, key=lambda part: part.number)))

    def definition(self, name: str) -> Formula:
        """Return the formula that holds if a definition does."""
        return self._get(Kind.DEFINITION, name)

    def types(self, names: Iterable[str]) -> Formula:
        """Return the formula that holds for values of some types."""
        found = frozenset(names)
        return self.true if len(found) == len(TYPES) else self._get(Kind.TYPES, found)

    def values(self, values: Iterable[JsonValue]) -> Formula:
        """Return the formula that holds for some values only."""
        found = {identity(value): value for value in values}
        if not found:
            return self.false
        formula = self._get(Kind.VALUES, frozenset(found))
        formula.values = formula.values or found
        return formula

    def atom(self, atom: Atom, *, is_met: bool = True) -> Formula:
        """Return the formula that holds for values of other types, and those as an atom says.

        Args:
            atom: The constraint.
            is_met: Whether values of its type must meet it or break it.
        """
        if getattr(atom, "formula", None) is self.true or getattr(atom, "least", 1) <= 0:
            if is_met:
                return self.true
            return self.types(name for name in TYPES if name != type_of_atom(atom))
        return self._get(Kind.ATOM, (atom, is_met))

    def negation(self, formula: Formula) -> Formula:
        """Return the formula that holds if and only if another one does not."""
        if formula.negation is None:
            negated = self._negated(formula)
            formula.negation, negated.negation = negated, formula
        return formula.negation

    def _negated(self, formula: Formula) -> Formula:
        kind = _NEGATED[formula.kind]
        if kind is Kind.TYPES:
            return self.types(name for name in TYPES if name not in formula.types)
        if kind in {Kind.ALL, Kind.ANY}:
            parts = [self.negation(part) for part in formula.parts]
            return self._get(kind, tuple(sorted(parts, key=lambda part: part.number)))
        if formula.atom is not None:
            return self._get(kind, (formula.atom, formula.is_met))
        if kind in {Kind.ONE, Kind.NOT_ONE}:
            return self._get(kind, formula.parts)
        if formula.name:
            return self._get(kind, formula.name)
        negated = self._get(kind, frozenset(formula.values))
        negated.values = formula.values
        return negated

    def _combined(
        self, kind: Kind, parts: Iterable[Formula], neutral: Formula, other: Formula
    ) -> Formula:
        found: dict[int, Formula] = {}
        pending = list(parts)
        while pending:
            part = pending.pop()
            if part is other or (part.negation is not None and part.negation.number in found):
                return other
            if part.kind is kind:
                pending += part.parts
            else:
                found[part.number] = part
        if len(found) <= 1:
            return next(iter(found.values()), neutral)
        return self._get(kind, tuple(found[number] for number in sorted(found)))

    def _get(self, kind: Kind, content: Hashable) -> Formula:
        formula = self._made.get((kind, content))
        if formula is None:
            formula = self._made[kind, content] = Formula(kind, len(self._made))
            if kind in {Kind.ALL, Kind.ANY, Kind.ONE, Kind.NOT_ONE}:
                formula.parts = cast("tuple[Formula, ...]", content)
            elif kind in {Kind.DEFINITION, Kind.NOT_DEFINITION}:
                formula.name = cast("str", content)
            elif kind is Kind.TYPES:
                formula.types = cast("frozenset[str]", content)
            elif kind in {Kind.ATOM, Kind.NOT_ATOM}:
                formula.atom, formula.is_met = cast("tuple[Atom, bool]", content)
        return formula


def items_from(formulas: Formulas, start: int, formula: Formula) -> Formula:
    """Return the formula of all items from an index on.

    Args:
        formulas: Makes formulas.
        start: The index.
        formula: What the items must be.
    """
    if formula is formulas.false:
        return formulas.atom(Items(start + 1), is_met=False)
    return formulas.atom(ItemsFrom(start, formula))


def member_named(formulas: Formulas, name: str, formula: Formula) -> Formula:
    """Return the formula of a member of an object.

    Args:
        formulas: Makes formulas.
        name: The name of the member.
        formula: What the member must be.
    """
    if formula is formulas.false:
        return formulas.atom(Has(name), is_met=False)
    return formulas.atom(MemberNamed(name, formula))


def is_of_type(formula: Formula, name: str) -> bool | None:
    """Return whether a formula holds for all values of a type, for none, or None if it depends.

    Args:
        formula: The formula.
        name: The type.
    """
    if formula.kind is Kind.TYPES:
        return name in formula.types
    if formula.kind in {Kind.ATOM, Kind.NOT_ATOM} and formula.atom is not None:
        is_other = type_of_atom(formula.atom) != name
        return (formula.kind is Kind.ATOM) if is_other else None
    if formula.kind in {Kind.VALUES, Kind.NOT_VALUES}:
        is_concerned = any(type_of(value) == name for value in formula.values.values())
        return None if is_concerned else formula.kind is Kind.NOT_VALUES
    return None


def opposite(value: bool | None) -> bool | None:  # noqa: FBT001 - a truth value
    """Return the opposite of a truth value, None if it is not known.

    Args:
        value: The truth value.
    """
    return None if value is None else not value


def conjunction(values: Iterable[bool | None]) -> bool | None:
    """Return whether all of some truth values are true, None if that is not known.

    Args:
        values: The truth values.
    """
    result: bool | None = True
    for value in values:
        if value is False:
            return False
        if value is None:
            result = None
    return result

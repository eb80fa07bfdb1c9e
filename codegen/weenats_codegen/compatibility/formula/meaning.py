"""Whether a formula holds for a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from weenats_codegen.compatibility.formula.atoms import (
    Above,
    Atom,
    Contains,
    Has,
    HasFormat,
    ItemAt,
    Items,
    ItemsFrom,
    Length,
    Matches,
    MemberNamed,
    Members,
    MembersMatching,
    Multiple,
    Names,
    OtherMembers,
    Unique,
    type_of_atom,
)
from weenats_codegen.compatibility.formula.formulas import Formula, Kind
from weenats_codegen.compatibility.formula.oracle import has_format, matches
from weenats_codegen.compatibility.formula.values import exact, identity, type_of
from weenats_codegen.ir.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from weenats_codegen.compatibility.budget import Budget
    from weenats_codegen.compatibility.formula.compiler import Compiler


class Meaning:
    """Decides whether formulas hold for values."""

    def __init__(self, compiler: Compiler, budget: Budget) -> None:
        """Initialize the meaning of formulas.

        Args:
            compiler: Has the definitions.
            budget: What the decisions may cost.
        """
        self._compiler: Final = compiler
        self._budget: Final = budget

    def holds(self, formula: Formula, value: JsonValue) -> bool:  # noqa: PLR0911 - one a kind
        """Return whether a formula holds for a value.

        Args:
            formula: The formula.
            value: The value.

        Raises:
            OutOfStepsError: The decision costs more than it may.
        """
        self._budget.spend_small()
        match formula.kind:
            case Kind.ALL:
                return all(self.holds(part, value) for part in formula.parts)
            case Kind.ANY:
                return any(self.holds(part, value) for part in formula.parts)
            case Kind.ONE | Kind.NOT_ONE:
                count = sum(self.holds(part, value) for part in formula.parts)
                return (count == 1) is (formula.kind is Kind.ONE)
            case Kind.DEFINITION | Kind.NOT_DEFINITION:
                holds = self.holds(self._compiler.definition(formula.name), value)
                return holds is (formula.kind is Kind.DEFINITION)
            case Kind.TYPES:
                return type_of(value) in formula.types
            case Kind.VALUES | Kind.NOT_VALUES:
                if isinstance(value, list | dict):
                    self._budget.spend_small(size_of(value))
                return (identity(value) in formula.values) is (formula.kind is Kind.VALUES)
            case _:
                return self._atom(formula, value)

    def _atom(self, formula: Formula, value: JsonValue) -> bool:
        atom, is_atom = cast("Atom", formula.atom), formula.kind is Kind.ATOM
        if type_of_atom(atom) != type_of(value):
            return is_atom
        return (self.meets(atom, value) is formula.is_met) is is_atom

    def meets(self, atom: Atom, value: JsonValue) -> bool:
        """Return whether a value meets an atom of its type.

        Args:
            atom: The atom.
            value: The value.
        """
        if isinstance(value, list):
            return self._array(atom, value)
        if isinstance(value, dict):
            return self._object(atom, value)
        if isinstance(value, str):
            return _text(atom, value)
        return _number(atom, cast("float", value))

    def _array(self, atom: Atom, value: list[JsonValue]) -> bool:
        match atom:
            case Items(least):
                return len(value) >= least
            case ItemAt(index, formula):
                return len(value) <= index or self.holds(formula, value[index])
            case ItemsFrom(index, formula):
                return all(self.holds(formula, item) for item in value[index:])
            case Contains(least, formula):
                return sum(self.holds(formula, item) for item in value) >= least
            case _:
                self._budget.spend_small(size_of(value))
                assert isinstance(atom, Unique)  # noqa: S101 - for type checkers
                return len({identity(item) for item in value}) == len(value)

    def _object(self, atom: Atom, value: Mapping[str, JsonValue]) -> bool:
        match atom:
            case Members(least):
                return len(value) >= least
            case Has(name):
                return name in value
            case MemberNamed(name, formula):
                return name not in value or self.holds(formula, value[name])
            case MembersMatching() | OtherMembers():
                return all(
                    self.holds(atom.formula, member)
                    for name, member in value.items()
                    if concerns(atom, name)
                )
            case _:
                return all(self.holds(cast("Names", atom).formula, name) for name in value)


def concerns(atom: MemberNamed | MembersMatching | OtherMembers, name: str) -> bool:
    """Return whether an atom is about the member with a name.

    Args:
        atom: The atom.
        name: The name.
    """
    if isinstance(atom, MemberNamed):
        return atom.name == name
    if isinstance(atom, MembersMatching):
        return matches(atom.pattern, name)
    return name not in atom.names and not any(matches(each, name) for each in atom.patterns)


def _text(atom: Atom, value: str) -> bool:
    match atom:
        case Length(least):
            return len(value) >= least
        case Matches(pattern):
            return matches(pattern, value)
        case _:
            return has_format(cast("HasFormat", atom).format, value)


def _number(atom: Atom, value: float) -> bool:
    number = exact(value)
    if isinstance(atom, Above):
        return number > atom.limit or (number == atom.limit and not atom.is_exclusive)
    return number % cast("Multiple", atom).divisor == 0

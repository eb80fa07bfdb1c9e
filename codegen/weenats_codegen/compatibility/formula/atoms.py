"""Atoms: what formulas demand of values of one type, such as a length or a member.

An atom says nothing about values of other types, as a keyword of JSON Schema does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from weenats_codegen.compatibility.formula.formulas import Formula


@dataclass(frozen=True, slots=True)
class Above:
    """A number is at least, or more than, a limit."""

    limit: Fraction
    is_exclusive: bool


@dataclass(frozen=True, slots=True)
class Multiple:
    """A number is a multiple of another."""

    divisor: Fraction


@dataclass(frozen=True, slots=True)
class Length:
    """A text has at least so many characters."""

    least: int


@dataclass(frozen=True, slots=True)
class Matches:
    """A text matches a pattern."""

    pattern: str


@dataclass(frozen=True, slots=True)
class HasFormat:
    """A text has a format."""

    format: str


@dataclass(frozen=True, slots=True)
class Items:
    """An array has at least so many items."""

    least: int


@dataclass(frozen=True, slots=True)
class ItemAt:
    """The item at an index, if there is one."""

    index: int
    formula: Formula


@dataclass(frozen=True, slots=True)
class ItemsFrom:
    """All items from an index on."""

    index: int
    formula: Formula


@dataclass(frozen=True, slots=True)
class Contains:
    """At least so many items of an array are as a formula says."""

    least: int
    formula: Formula


@dataclass(frozen=True, slots=True)
class Unique:
    """No two items of an array are equal."""


@dataclass(frozen=True, slots=True)
class Members:
    """An object has at least so many members."""

    least: int


@dataclass(frozen=True, slots=True)
class Has:
    """An object has a member."""

    name: str


@dataclass(frozen=True, slots=True)
class MemberNamed:
    """The member with a name, if there is one."""

    name: str
    formula: Formula


@dataclass(frozen=True, slots=True)
class MembersMatching:
    """All members whose names match a pattern."""

    pattern: str
    formula: Formula


@dataclass(frozen=True, slots=True)
class OtherMembers:
    """All members but those with some names, and those whose names match some patterns."""

    names: frozenset[str]
    patterns: frozenset[str]
    formula: Formula


@dataclass(frozen=True, slots=True)
class Names:
    """The names of all members."""

    formula: Formula


NumberAtom = Above | Multiple
TextAtom = Length | Matches | HasFormat
ArrayAtom = Items | ItemAt | ItemsFrom | Contains | Unique
ObjectAtom = Members | Has | MemberNamed | MembersMatching | OtherMembers | Names
Atom = NumberAtom | TextAtom | ArrayAtom | ObjectAtom


def type_of_atom(atom: Atom) -> str:
    """Return the type of the values that an atom is about.

    Args:
        atom: The atom.
    """
    if isinstance(atom, NumberAtom):
        return "number"
    if isinstance(atom, TextAtom):
        return "string"
    return "array" if isinstance(atom, ArrayAtom) else "object"

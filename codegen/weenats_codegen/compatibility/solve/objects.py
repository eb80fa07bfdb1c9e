"""Objects: which members they need, which they may have, and what these must be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from weenats_codegen.compatibility.formula.atoms import (
    Has,
    Matches,
    MemberNamed,
    Members,
    MembersMatching,
    Names,
    OtherMembers,
)
from weenats_codegen.compatibility.formula.meaning import concerns
from weenats_codegen.compatibility.solve.outcome import (
    NOTHING,
    Found,
    Nothing,
    Outcome,
    Unknown,
    found_of,
    worse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weenats_codegen.compatibility.formula.atoms import Atom
    from weenats_codegen.compatibility.formula.formulas import Formula
    from weenats_codegen.compatibility.solve.solver import Solver

_MAX_SLOTS: Final = 128
_MAX_MEMBERS: Final = 2000

_Selecting = MemberNamed | MembersMatching | OtherMembers


@dataclass(frozen=True, slots=True)
class _Slot:
    """A member that an object may have, or any number of members whose names are alike.

    Attributes:
        name: The name; None for any number of members.
        names: What their names must be.
        selected: The atoms that are about them.
        values: What the values must be.
    """

    name: str | None
    names: frozenset[Formula]
    selected: frozenset[Atom]
    values: frozenset[Formula]


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of the object that is being made, with what is demanded of it besides."""

    slot: _Slot
    names: frozenset[Formula] = frozenset()
    values: frozenset[Formula] = frozenset()


@dataclass(slots=True)
class _Demands:
    """What the atoms say."""

    least: int = 0
    most: int | None = None
    required: set[str] = field(default_factory=set[str])
    absent: set[str] = field(default_factory=set[str])
    every: list[_Selecting] = field(default_factory=list["_Selecting"])
    some: list[_Selecting | Names] = field(default_factory=list["_Selecting | Names"])
    names: list[Formula] = field(default_factory=list["Formula"])


class ObjectSearch:
    """Finds an object."""

    def __init__(self, solver: Solver, atoms: Mapping[Atom, bool]) -> None:
        """Initialize a search.

        Args:
            solver: Finds the values of members.
            atoms: What must hold of the object, and what must not.
        """
        self._solver: Final = solver
        self._formulas: Final = solver.formulas
        self._demands: Final = _demands(atoms)
        self._every: Final[frozenset[Atom]] = frozenset(self._demands.every)
        self._by_name: Final[dict[str, list[_Selecting | Names]]] = {}
        self._unbound: Final[list[_Selecting | Names]] = []
        for atom in (*self._demands.every, *self._demands.some):
            if isinstance(atom, MemberNamed):
                self._by_name.setdefault(atom.name, []).append(atom)
            else:
                self._unbound.append(atom)
        self._slots: Final[dict[Atom, list[_Slot]]] = {}
        self._outcome: Outcome = NOTHING

    def find(self) -> Outcome:
        """Return an object.

        Raises:
            OutOfStepsError: The search costs more than it may.
        """
        demands, patterns = self._demands, self._patterns()
        if _is_contradictory(demands):
            return NOTHING
        if demands.least > _MAX_MEMBERS:
            return Unknown("objects with many members")
        named = {name: self._named(name) for name in self._explicit_names()}
        if any(named[name] is None for name in demands.required):
            return NOTHING
        slots = [slot for slot in named.values() if slot is not None]
        unnamed = self._unnamed(patterns, frozenset(named))
        if unnamed is None:
            return Unknown("many patterns of names")
        slots += unnamed
        members = tuple(_Member(cast("_Slot", named[name])) for name in sorted(demands.required))
        for member in members:
            if isinstance(self._value(member), Nothing):
                return NOTHING
        for slot in slots:
            for atom in slot.selected:
                self._slots.setdefault(atom, []).append(slot)
        parts = self._place(slots, members, list(demands.some))
        return self._outcome if parts is None else _whole(parts)

    def _patterns(self) -> list[str]:
        found: set[str] = set()
        for atom in (*self._demands.every, *self._demands.some):
            if isinstance(atom, MembersMatching):
                found.add(atom.pattern)
            elif isinstance(atom, OtherMembers):
                found |= atom.patterns
        return sorted(found)

    def _explicit_names(self) -> list[str]:
        found = {*self._demands.required}
        for atom in (*self._demands.every, *self._demands.some):
            if isinstance(atom, MemberNamed):
                found.add(atom.name)
            elif isinstance(atom, OtherMembers):
                found |= atom.names
        return sorted(found - self._demands.absent)

    def _named(self, name: str) -> _Slot | None:
        """Return the slot of a name, None if no member may have it."""
        holds = self._solver.meaning.holds
        if not all(holds(formula, name) for formula in self._demands.names):
            return None
        self._solver.budget.spend_small(1 + len(self._unbound))
        selected = [*self._by_name.get(name, ())]
        for atom in self._unbound:
            if isinstance(atom, Names):
                is_selected = not holds(atom.formula, name)
            else:
                is_selected = concerns(atom, name)
            selected += [atom] * is_selected
        return self._slot(name, frozenset(), frozenset(selected))

    def _slot(
        self, name: str | None, names: frozenset[Formula], selected: frozenset[Atom]
    ) -> _Slot:
        every = [cast("_Selecting", atom).formula for atom in selected & self._every]
        return _Slot(name, names, selected, frozenset(every))

    def _unnamed(self, patterns: list[str], explicit: frozenset[str]) -> list[_Slot] | None:
        """Return the slots of all other names: those that match the same patterns are alike.

        Returns:
            The slots, None if there are too many.
        """
        formulas = self._formulas
        names = {formulas.types(["string"]), *self._demands.names}
        if banned := sorted(explicit | self._demands.absent):
            names.add(formulas.negation(formulas.values([*banned])))
        cells: list[tuple[dict[str, bool], frozenset[Formula]]] = [({}, frozenset(names))]
        for pattern in patterns:
            both = [
                ({**signs, pattern: sign}, found | {formulas.atom(Matches(pattern), is_met=sign)})
                for signs, found in cells
                for sign in (False, True)
            ]
            cells = [cell for cell in both if not isinstance(self._solver.find(cell[1]), Nothing)]
            if len(cells) > _MAX_SLOTS:
                return None
        asked = (*self._demands.every, *self._demands.some)
        self._solver.budget.spend_small(len(cells) * len(asked))
        return [
            self._slot(
                None,
                found,
                frozenset(
                    each for each in asked if isinstance(each, Names) or _selects(each, signs)
                ),
            )
            for signs, found in cells
        ]

    def _value(self, member: _Member) -> Outcome:
        return self._solver.find(member.slot.values | member.values)

    def _place(
        self, slots: list[_Slot], members: tuple[_Member, ...], some: list[_Selecting | Names]
    ) -> dict[str, Found] | None:
        """Return an object with some members that has others, of which at least one breaks an atom.

        Args:
            slots: The members that the object may have.
            members: Those that it has.
            some: For each of these atoms, one member at least must break it.
        """
        self._solver.budget.spend(1 + len(members) // 16)
        if not some:
            return self._filled(slots, members)
        atom, *rest = some
        broken = self._formulas.negation(atom.formula)
        for changed in self._ways(members, atom, broken):
            added = changed[-1]
            outcome = self._value(added)
            if isinstance(outcome, Unknown):
                self._outcome = worse(self._outcome, outcome)
            if not isinstance(outcome, Found):
                continue
            if self._demands.most is not None and len(changed) > self._demands.most:
                continue
            placed = self._place(slots, changed, rest)
            if placed is not None:
                return placed
        return None

    def _ways(
        self, members: tuple[_Member, ...], atom: _Selecting | Names, broken: Formula
    ) -> Iterator[tuple[_Member, ...]]:
        """Yield the members with one that breaks an atom at the end."""
        for at, member in enumerate(members):
            if atom in member.slot.selected:
                rest = members[:at] + members[at + 1 :]
                yield (*rest, self._broken(member, atom, broken))
        has = {member.slot.name for member in members}
        for slot in self._slots.get(atom, ()):
            if slot.name is None or slot.name not in has:
                yield (*members, self._broken(_Member(slot), atom, broken))

    def _broken(self, member: _Member, atom: _Selecting | Names, broken: Formula) -> _Member:
        if not isinstance(atom, Names):
            return _Member(member.slot, member.names, member.values | {broken})
        if member.slot.name is not None:  # its name was looked at before
            return member
        return _Member(member.slot, member.names | {broken}, member.values)

    def _filled(self, slots: list[_Slot], members: tuple[_Member, ...]) -> dict[str, Found] | None:
        """Return an object with some members, and others if it needs more."""
        made: dict[str, Found] = {}
        for member in sorted(members, key=lambda each: each.slot.name is None):
            if not self._fill(made, member):
                return None
        has = {member.slot.name for member in members}
        for slot in slots:
            while len(made) < self._demands.least and (slot.name is None or slot.name not in has):
                if not self._fill(made, _Member(slot)) or slot.name is not None:
                    break
        return made if len(made) >= self._demands.least else None

    def _fill(self, made: dict[str, Found], member: _Member) -> bool:
        """Add a member to an object; return whether that was possible."""
        value = self._value(member)
        if isinstance(value, Unknown):
            self._outcome = worse(self._outcome, value)
        if not isinstance(value, Found):
            return False
        name = self._name(made, member)
        if name is not None:
            made[name] = value
        return name is not None

    def _name(self, made: Mapping[str, Found], member: _Member) -> str | None:
        if member.slot.name is not None:
            return member.slot.name
        formulas = self._formulas
        wanted = {*member.slot.names, *member.names}
        plain = f"m{len(made)}"
        if plain not in made and all(self._solver.meaning.holds(each, plain) for each in wanted):
            return plain
        if made:
            self._solver.budget.spend_small(len(made))
            wanted.add(formulas.negation(formulas.values([*sorted(made)])))
        outcome = self._solver.find(wanted)
        if isinstance(outcome, Nothing) and member.names and made:
            outcome = Unknown("names")  # other names of the members before might have left one
        if isinstance(outcome, Unknown):
            self._outcome = worse(self._outcome, outcome)
        return str(outcome.value) if isinstance(outcome, Found) else None


def _whole(members: Mapping[str, Found]) -> Outcome:
    value = {name: each.value for name, each in members.items()}
    return found_of(value, (each.parts for each in members.values()))


def _is_contradictory(demands: _Demands) -> bool:
    least = max(demands.least, len(demands.required))
    is_over = demands.most is not None and demands.most < least
    return is_over or not demands.required.isdisjoint(demands.absent)


def _demands(atoms: Mapping[Atom, bool]) -> _Demands:
    demands = _Demands()
    for atom, is_met in atoms.items():
        if isinstance(atom, Members):
            if is_met:
                demands.least = max(demands.least, atom.least)
            else:
                most = atom.least - 1
                demands.most = most if demands.most is None else min(demands.most, most)
        elif isinstance(atom, Has):
            (demands.required if is_met else demands.absent).add(atom.name)
        elif isinstance(atom, Names):
            if is_met:
                demands.names.append(atom.formula)
            else:
                demands.some.append(atom)
        elif is_met:
            demands.every.append(cast("_Selecting", atom))
        else:
            demands.some.append(cast("_Selecting", atom))
    return demands


def _selects(atom: _Selecting, signs: Mapping[str, bool]) -> bool:
    """Return whether an atom is about members without a name of their own.

    Args:
        atom: The atom.
        signs: Whether their names match each pattern.
    """
    if isinstance(atom, MembersMatching):
        return signs[atom.pattern]
    return isinstance(atom, OtherMembers) and not any(signs[each] for each in atom.patterns)

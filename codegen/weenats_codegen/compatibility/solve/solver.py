"""A value that several formulas hold for, or the proof that there is none.

The search goes through the types of values. For each type it takes the formulas apart until only
constraints on values of this type are left, in every way in which alternatives can be chosen; the
modules beside this one solve these constraints. It asks for the members and items of objects and
arrays in the same way. While a question is being answered, the same question inside it has no
answer: a smallest value does not contain a value that answers the same question.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import TYPE_CHECKING, Final, cast

from weenats_codegen.compatibility.formula.atoms import (
    Has,
    ItemAt,
    Items,
    MemberNamed,
    OtherMembers,
)
from weenats_codegen.compatibility.formula.formulas import (
    Formula,
    Kind,
    conjunction,
    is_of_type,
    opposite,
)
from weenats_codegen.compatibility.formula.meaning import Meaning
from weenats_codegen.compatibility.formula.values import TYPES, identity, type_of
from weenats_codegen.compatibility.solve.arrays import ArraySearch
from weenats_codegen.compatibility.solve.numbers import find_number
from weenats_codegen.compatibility.solve.objects import ObjectSearch
from weenats_codegen.compatibility.solve.outcome import (
    NOTHING,
    Found,
    Nothing,
    Outcome,
    Unknown,
    worse,
)
from weenats_codegen.compatibility.solve.texts import find_text
from weenats_codegen.ir.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import JsonValue

    from weenats_codegen.compatibility.budget import Budget
    from weenats_codegen.compatibility.formula.atoms import Atom
    from weenats_codegen.compatibility.formula.compiler import Compiler

_MAX_DEPTH: Final = 90
_Ways = tuple[int | None, "Iterator[list[Formula]]"]
"""The number of ways to make a choice, None if it is made, and what each way demands."""
_CHOICES: Final = frozenset({Kind.ANY, Kind.ONE, Kind.NOT_ONE})


@dataclass(slots=True)
class _Branch:
    """What has been found out about a value of one type."""

    kind: str
    budget: Budget
    seen: set[Formula] = field(default_factory=set["Formula"])
    atoms: dict[Atom, bool] = field(default_factory=dict["Atom", bool])
    values: list[Formula] = field(default_factory=list["Formula"])
    excluded: list[Formula] = field(default_factory=list["Formula"])
    choices: list[Formula] = field(default_factory=list["Formula"])

    def copy(self) -> _Branch:
        """Return a branch in which something else may be found out from here on."""
        self.budget.spend_small(len(self.seen))
        return _Branch(
            self.kind,
            self.budget,
            set(self.seen),
            dict(self.atoms),
            list(self.values),
            list(self.excluded),
            list(self.choices),
        )

    def truth(self, formula: Formula) -> bool | None:
        """Return whether a formula holds, None if that is open."""
        self.budget.spend_small()
        if formula in self.seen:
            return True
        if formula.negation is not None and formula.negation in self.seen:
            return False
        if formula.kind is Kind.ALL:
            return conjunction(self.truth(part) for part in formula.parts)
        if formula.kind is Kind.ANY:
            return opposite(conjunction(opposite(self.truth(part)) for part in formula.parts))
        decided = is_of_type(formula, self.kind)
        if decided is None and formula.atom in self.atoms:
            return self.atoms[formula.atom] is _demand(formula)
        return decided


class Solver:
    """Finds values.

    Attributes:
        compiler: Has the definitions.
        budget: What the search may cost.
    """

    def __init__(self, compiler: Compiler, budget: Budget) -> None:
        """Initialize a solver.

        Args:
            compiler: Has the definitions.
            budget: What the search may cost.
        """
        self.compiler: Final = compiler
        self.formulas: Final = compiler.formulas
        self.meaning: Final = Meaning(compiler, budget)
        self.budget: Final = budget
        self._known: Final[dict[frozenset[Formula], Outcome]] = {}
        self._active: Final[dict[frozenset[Formula], int]] = {}
        self._lowest = _MAX_DEPTH + 1

    def find(self, wanted: Iterable[Formula]) -> Outcome:
        """Return a value that all of some formulas hold for.

        Args:
            wanted: The formulas.

        Raises:
            OutOfStepsError: The search costs more than it may.
        """
        whole = self.formulas.all(wanted)
        key = frozenset(whole.parts if whole.kind is Kind.ALL else (whole,))
        self.budget.spend_small(len(key))
        if key in self._known:
            return self._known[key]
        if key in self._active:
            self._lowest = min(self._lowest, self._active[key])
            return NOTHING
        depth = len(self._active)
        if depth >= _MAX_DEPTH:
            return Unknown("deep nesting")
        outer, self._lowest = self._lowest, _MAX_DEPTH + 1
        self._active[key] = depth
        try:
            outcome = self._find(key)
        finally:
            del self._active[key]
        if isinstance(outcome, Found) or self._lowest >= depth:
            self._known[key] = outcome
            self._lowest = outer
        else:
            self._lowest = min(outer, self._lowest)
        return outcome

    def _find(self, wanted: frozenset[Formula]) -> Outcome:
        outcome: Outcome = NOTHING
        ordered = sorted(wanted, key=lambda formula: formula.number)
        for kind in TYPES:
            found = self._satisfied(list(ordered), _Branch(kind, self.budget))
            if isinstance(found, Found):
                return found
            outcome = worse(outcome, found)
        return outcome

    def _satisfied(self, pending: list[Formula], branch: _Branch) -> Outcome:
        """Return a value for a branch with some more formulas."""
        self.budget.spend()
        while pending:
            if not self._add(pending, branch):
                return NOTHING
            if not pending and not self._decide(pending, branch):
                return NOTHING
        if branch.values:
            return self._listed(branch)
        # Without the choices that are open: if there is nothing then, there is nothing with them.
        found = self._leaf(branch)
        if isinstance(found, Nothing) or not branch.choices:
            return found
        if isinstance(found, Found) and self._makes_choices(branch, found.value):
            return found
        return self._chosen(branch)

    def _makes_choices(self, branch: _Branch, value: JsonValue) -> bool:
        self.budget.spend(len(branch.choices))
        return all(self.meaning.holds(choice, value) for choice in branch.choices)

    def _add(self, pending: list[Formula], branch: _Branch) -> bool:
        """Add the formulas to a branch; return whether they can all hold."""
        while pending:
            formula = pending.pop()
            if formula in branch.seen:
                continue
            truth = branch.truth(formula)
            if truth is False:
                return False
            branch.seen.add(formula)
            if truth is None:
                self._note(formula, pending, branch)
        return True

    def _note(self, formula: Formula, pending: list[Formula], branch: _Branch) -> None:
        kind = formula.kind
        if kind is Kind.ALL:
            pending += formula.parts
        elif kind in _CHOICES:
            branch.choices.append(formula)
        elif kind is Kind.DEFINITION:
            pending.append(self.compiler.definition(formula.name))
        elif kind is Kind.NOT_DEFINITION:
            pending.append(self.formulas.negation(self.compiler.definition(formula.name)))
        elif kind is Kind.VALUES:
            branch.values.append(formula)
        elif kind is Kind.NOT_VALUES:
            if branch.kind in {"array", "object"}:
                pending += self._unlike(formula, branch.kind)
            else:
                branch.excluded.append(formula)
        else:
            branch.atoms[cast("Atom", formula.atom)] = _demand(formula)

    def _decide(self, pending: list[Formula], branch: _Branch) -> bool:
        """Remove the choices that are decided; return whether all can still be made."""
        choices = branch.choices[:]
        branch.choices.clear()
        for choice in choices:
            count, alternatives = self._alternatives(choice, branch)
            if count == 0:
                return False
            if count == 1:
                pending += next(alternatives)
            elif count is not None:
                branch.choices.append(choice)
        return True

    def _alternatives(self, choice: Formula, branch: _Branch) -> _Ways:
        """Return the ways to make a choice."""
        self.budget.spend()
        truths = [branch.truth(part) for part in choice.parts]
        open_parts = [
            part for part, truth in zip(choice.parts, truths, strict=True) if truth is None
        ]
        count = truths.count(True)
        if choice.kind is Kind.ANY:
            return (None if count else len(open_parts)), ([part] for part in open_parts)
        if choice.kind is Kind.ONE:
            return self._ways_of_one(open_parts, count)
        return self._ways_of_not_one(open_parts, count)

    def _ways_of_one(self, open_parts: list[Formula], count: int) -> _Ways:
        """Return the ways in which one part holds, of which so many do."""
        if not count:
            return len(open_parts), self._each_alone(open_parts)
        if count > 1:
            return 0, iter(())
        return (1 if open_parts else None), self._none_of(open_parts)

    def _ways_of_not_one(self, open_parts: list[Formula], count: int) -> _Ways:
        """Return the ways in which no part holds, or several do, of which so many do."""
        if count > 1 or (not count and not open_parts):
            return None, iter(())
        if count:
            return len(open_parts), ([part] for part in open_parts)
        pairs = ([first, second] for first, second in combinations(open_parts, 2))
        many = 1 + len(open_parts) * (len(open_parts) - 1) // 2
        return many, chain(self._none_of(open_parts), pairs)

    def _none_of(self, parts: list[Formula]) -> Iterator[list[Formula]]:
        yield [self.formulas.negation(part) for part in parts]

    def _each_alone(self, parts: list[Formula]) -> Iterator[list[Formula]]:
        """Yield each of some formulas with the negations of the others."""
        negations = [self.formulas.negation(part) for part in parts]
        for at, part in enumerate(parts):
            yield [part, *negations[:at], *negations[at + 1 :]]

    def _chosen(self, branch: _Branch) -> Outcome:
        options = [self._alternatives(choice, branch) for choice in branch.choices]
        at = min(range(len(options)), key=lambda index: options[index][0] or 0)
        del branch.choices[at]
        outcome: Outcome = NOTHING
        for alternative in options[at][1]:
            found = self._satisfied(alternative, branch.copy())
            if isinstance(found, Found):
                return found
            outcome = worse(outcome, found)
        return outcome

    def _listed(self, branch: _Branch) -> Outcome:
        """Return one of the values that a branch lists."""
        first, *others = branch.values
        for key, value in first.values.items():
            self.budget.spend()
            if type_of(value) != branch.kind or any(key not in other.values for other in others):
                continue
            if all(self.meaning.holds(formula, value) for formula in branch.seen):
                return Found(value, size_of(value))
        return NOTHING

    def _leaf(self, branch: _Branch) -> Outcome:
        excluded = [
            (key, value)
            for formula in branch.excluded
            for key, value in formula.values.items()
            if type_of(value) == branch.kind
        ]
        if branch.kind == "number":
            return find_number(branch.atoms, frozenset(key for key, _ in excluded))
        if branch.kind == "string":
            return find_text(branch.atoms, [str(value) for _, value in excluded], self.budget)
        if branch.kind == "array":
            return ArraySearch(self, branch.atoms).find()
        if branch.kind == "object":
            return ObjectSearch(self, branch.atoms).find()
        values: tuple[JsonValue, ...] = (None,) if branch.kind == "null" else (True, False)
        banned = {key for key, _ in excluded}
        return next((Found(each) for each in values if identity(each) not in banned), NOTHING)

    def _unlike(self, formula: Formula, kind: str) -> Iterator[Formula]:
        """Yield what makes an array or object differ from each of some values."""
        for value in formula.values.values():
            if kind == "array" and isinstance(value, list):
                yield self._other_array(value)
            if kind == "object" and isinstance(value, dict):
                yield self._other_object(value)

    def _other_array(self, value: list[JsonValue]) -> Formula:
        formulas = self.formulas
        return formulas.any(
            [
                formulas.atom(Items(len(value)), is_met=False),
                formulas.atom(Items(len(value) + 1)),
                *(
                    formulas.negation(formulas.atom(ItemAt(index, formulas.values([item]))))
                    for index, item in enumerate(value)
                ),
            ]
        )

    def _other_object(self, value: dict[str, JsonValue]) -> Formula:
        formulas = self.formulas
        others = OtherMembers(frozenset(value), frozenset(), formulas.false)
        return formulas.any(
            [
                *(formulas.atom(Has(name), is_met=False) for name in value),
                *(
                    formulas.negation(formulas.atom(MemberNamed(name, formulas.values([member]))))
                    for name, member in value.items()
                ),
                formulas.negation(formulas.atom(others)),
            ]
        )


def _demand(formula: Formula) -> bool:
    return formula.is_met is (formula.kind is Kind.ATOM)

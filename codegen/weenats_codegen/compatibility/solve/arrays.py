"""Arrays: how many items they need, and what these must be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from weenats_codegen.compatibility.formula.atoms import (
    Contains,
    ItemAt,
    Items,
    ItemsFrom,
    Unique,
)
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

_MAX_ITEMS: Final = 300
_MAX_PLAIN_ITEMS: Final = 20_000
"""The most items of an array in which it does not matter which of them is which."""

_Items = tuple[frozenset["Formula"], ...]
"""What each item of an array must be."""


@dataclass(slots=True)
class _Demands:
    """What the atoms say."""

    least: int = 0
    most: int | None = None
    at: list[ItemAt] = field(default_factory=list["ItemAt"])
    broken_at: list[ItemAt] = field(default_factory=list["ItemAt"])
    every: list[ItemsFrom] = field(default_factory=list["ItemsFrom"])
    some: list[ItemsFrom] = field(default_factory=list["ItemsFrom"])
    contains: list[Contains] = field(default_factory=list["Contains"])
    lacks: list[Contains] = field(default_factory=list["Contains"])
    is_unique: bool = False
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class _Task:
    """Some items, from an index on, that must also be as a formula says."""

    count: int
    start: int
    formula: Formula


class ArraySearch:
    """Finds an array."""

    def __init__(self, solver: Solver, atoms: Mapping[Atom, bool]) -> None:
        """Initialize a search.

        Args:
            solver: Finds the items.
            atoms: What must hold of the array, and what must not.
        """
        self._solver: Final = solver
        self._formulas: Final = solver.formulas
        self._demands: Final = _demands(atoms)
        self._outcome: Outcome = NOTHING

    def find(self) -> Outcome:
        """Return an array.

        Raises:
            OutOfStepsError: The search costs more than it may.
        """
        demands = self._demands
        least = max([demands.least, *(each.index + 1 for each in demands.broken_at)])
        starts = [each.index + 1 for each in (*demands.at, *demands.broken_at)]
        starts += [each.index for each in (*demands.every, *demands.some)]
        # More items than these can be left out of an array, and it still has what it needs.
        needed = sum(each.least for each in demands.contains) + len(demands.some)
        enough = max(least, max(starts, default=0) + needed + 2 * demands.is_repeated)
        is_plain = not (self._is_mixed() or demands.is_unique or demands.is_repeated)
        if enough > (_MAX_PLAIN_ITEMS if is_plain else _MAX_ITEMS):
            return Unknown("long arrays")
        last = enough if demands.most is None else min(demands.most, enough)
        for length in range(least, last + 1):
            items = self._of_length(length)
            if items is not None:
                return found_of([each.value for each in items], (each.parts for each in items))
        return self._outcome

    def _of_length(self, length: int) -> list[Found] | None:
        demands, negation = self._demands, self._formulas.negation
        items: list[set[Formula]] = [set() for _ in range(length)]
        for each in demands.at:
            if each.index < length:
                items[each.index].add(each.formula)
        for each in demands.broken_at:
            items[each.index].add(negation(each.formula))
        for every in demands.every:
            for item in items[every.index :]:
                item.add(every.formula)
        tasks = [_Task(1, each.index, negation(each.formula)) for each in demands.some]
        tasks += [_Task(each.least, 0, each.formula) for each in demands.contains]
        tasks += [
            _Task(length - each.least + 1, 0, negation(each.formula)) for each in demands.lacks
        ]
        start = tuple(map(frozenset, items))
        if any(isinstance(self._item(item), Nothing) for item in set(start)):
            return None
        return self._assigned(start, [task for task in tasks if task.count > 0])

    def _item(self, item: frozenset[Formula]) -> Outcome:
        outcome = self._solver.find(item)
        if isinstance(outcome, Unknown):
            self._outcome = worse(self._outcome, outcome)
        return outcome

    def _assigned(self, items: _Items, tasks: list[_Task]) -> list[Found] | None:
        """Return an array that fulfils some tasks."""
        if not tasks:
            return self._filled(items)
        task, *rest = tasks
        for changed in self._ways(items, task, task.start, task.count):
            assigned = self._assigned(changed, rest)
            if assigned is not None:
                return assigned
        return None

    def _ways(self, items: _Items, task: _Task, start: int, count: int) -> Iterator[_Items]:
        """Yield items of which some more are as a task says."""
        self._solver.budget.spend()
        if count == 0:
            yield items
            return
        tried: set[frozenset[Formula]] = set()
        for index in range(start, len(items) - count + 1):
            if items[index] in tried and not self._is_mixed():
                continue
            tried.add(items[index])
            changed = items[index] | {task.formula}
            if not isinstance(self._item(changed), Nothing):
                following = (*items[:index], changed, *items[index + 1 :])
                yield from self._ways(following, task, index + 1, count - 1)

    def _is_mixed(self) -> bool:
        """Return whether it matters which of some equal items is chosen."""
        demands = self._demands
        return bool(demands.contains or demands.lacks or len(demands.some) > 1)

    def _filled(self, items: _Items) -> list[Found] | None:
        if self._demands.is_repeated:
            return self._with_equal_items(items)
        result: list[Found] = []
        for item in items:
            wanted = set(item)
            if self._demands.is_unique and result:
                self._solver.budget.spend_small(sum(each.parts for each in result))
                different = self._formulas.values([each.value for each in result])
                wanted.add(self._formulas.negation(different))
            outcome = self._item(frozenset(wanted))
            if not isinstance(outcome, Found):
                if self._demands.is_unique and len(set(items)) > 1:
                    # Other items in the places before might have left one for this place.
                    self._outcome = worse(self._outcome, Unknown("different items"))
                return None
            result.append(outcome)
        return result

    def _with_equal_items(self, items: _Items) -> list[Found] | None:
        for second in range(len(items)):
            for first in range(second):
                outcome = self._item(items[first] | items[second])
                if not isinstance(outcome, Found):
                    continue
                result: list[Found] = []
                for index, item in enumerate(items):
                    each = outcome if index in {first, second} else self._item(item)
                    if not isinstance(each, Found):
                        break
                    result.append(each)
                else:
                    return result
        return None


def _demands(atoms: Mapping[Atom, bool]) -> _Demands:
    demands = _Demands()
    for atom, is_met in atoms.items():
        match atom:
            case Items(least) if is_met:
                demands.least = max(demands.least, least)
            case Items(least):
                most = least - 1
                demands.most = most if demands.most is None else min(demands.most, most)
            case ItemAt():
                (demands.at if is_met else demands.broken_at).append(atom)
            case ItemsFrom():
                (demands.every if is_met else demands.some).append(atom)
            case Contains():
                (demands.contains if is_met else demands.lacks).append(atom)
            case _:
                assert isinstance(cast("object", atom), Unique)  # noqa: S101 - for type checkers
                demands.is_unique = demands.is_unique or is_met
                demands.is_repeated = demands.is_repeated or not is_met
    return demands

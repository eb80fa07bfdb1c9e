"""A pattern as an automaton whose deterministic states are made when they are needed.

A deterministic state is what the text before it was like at its end, and a set of threads: the
states of the nondeterministic automaton that may have been reached, each with the lookaheads that
what follows has to fulfil.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product, takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.compatibility.regular.characters import ALL, WORD, Characters
from weenats_codegen.compatibility.regular.syntax import (
    Ahead,
    Border,
    Choice,
    Repeat,
    Sequence,
    Set,
    Tree,
    UnsupportedPatternError,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAX_STATES: Final = 3000
_MAX_THREADS: Final = 2000
_EDGE: Final = 0  # the start or the end of the text
_OTHER: Final = 1
_WORD: Final = 2


class _Thread(NamedTuple):
    """A state, and the states of the lookaheads that must or must not be found."""

    state: int
    wanted: frozenset[int] = frozenset()
    unwanted: frozenset[frozenset[int]] = frozenset()


class State(NamedTuple):
    """A state of a deterministic automaton."""

    before: int
    threads: frozenset[_Thread]


class Automaton:
    """Decides whether texts match a pattern.

    Attributes:
        start: The state before the first character.
        sets: The sets of characters that it tells apart.
        work: What its deterministic states have cost so far.
    """

    def __init__(self, tree: Tree) -> None:
        """Initialize the automaton of a pattern, which may match anywhere in a text.

        Args:
            tree: The pattern.

        Raises:
            UnsupportedPatternError: It is too large, or has a lookahead inside a negative one.
        """
        self.work = 0
        self._plain: Final[list[list[int]]] = []
        self._borders: Final[list[list[tuple[str, int]]]] = []
        self._aheads: Final[list[list[tuple[int, bool, int]]]] = []
        self._steps: Final[list[list[tuple[int, int]]]] = []
        self._numbers: Final[dict[Characters, int]] = {}
        self._ends: Final[set[int]] = set()
        self._next: Final[dict[tuple[State, tuple[bool, ...]], State]] = {}
        first, self._final = self._state(), self._state()
        self._read(first, ALL, first)
        self._read(self._final, ALL, self._final)
        start = self._state()
        self._plain[first].append(start)
        self._add(tree, start, self._final)
        if any(kind in "bB" for edges in self._borders for kind, _ in edges):
            self._number(WORD)
        self._has_words: Final = WORD in self._numbers
        self.sets: Final = tuple(self._numbers)
        self.start: Final = State(_EDGE, frozenset({_Thread(first)}))

    def step(self, state: State, membership: tuple[bool, ...]) -> State:
        """Return the state after a character.

        Args:
            state: The state before it.
            membership: For each of `sets`, whether the character is in it.
        """
        key = (state, membership)
        found = self._next.get(key)
        if found is None:
            found = self._next[key] = self._moved(state, membership)
        return found

    def accepts(self, state: State) -> bool:
        """Return whether a text that leads to a state matches.

        Args:
            state: The state.
        """
        return any(
            thread.state == self._final and not thread.wanted
            for thread in self._closure(state, _EDGE)
        )

    def _state(self) -> int:
        if len(self._plain) >= _MAX_STATES:
            raise UnsupportedPatternError
        self._plain.append([])
        self._borders.append([])
        self._aheads.append([])
        self._steps.append([])
        return len(self._plain) - 1

    def _number(self, found: Characters) -> int:
        return self._numbers.setdefault(found, len(self._numbers))

    def _read(self, start: int, found: Characters, end: int) -> None:
        self._steps[start].append((self._number(found), end))

    def _add(self, tree: Tree, start: int, end: int) -> None:
        """Add what leads from one state to another over the texts of a tree."""
        match tree:
            case Set(found):
                self._read(start, found, end)
            case Border(kind):
                self._borders[start].append((kind, end))
            case Choice(parts):
                for part in parts:
                    self._add(part, start, end)
            case Sequence(parts):
                for part in parts:
                    following = self._state()
                    self._add(part, start, following)
                    start = following
                self._plain[start].append(end)
            case Repeat():
                self._add_repeat(tree, start, end)
            case _:
                inner, goal = self._state(), self._state()
                self._ends.add(goal)
                self._add(tree.part, inner, goal)
                self._aheads[start].append((inner, tree.is_positive, end))

    def _add_repeat(self, tree: Repeat, start: int, end: int) -> None:
        for _ in range(tree.least):
            following = self._state()
            self._add(tree.part, start, following)
            start = following
        if tree.most is None:
            around = self._state()
            self._plain[start].append(around)
            self._add(tree.part, around, around)
            self._plain[around].append(end)
            return
        for _ in range(tree.most - tree.least):
            self._plain[start].append(end)
            following = self._state()
            self._add(tree.part, start, following)
            start = following
        self._plain[start].append(end)

    def _moved(self, state: State, membership: tuple[bool, ...]) -> State:
        before = _OTHER
        if self._has_words and membership[self._numbers[WORD]]:
            before = _WORD
        threads: set[_Thread] = set()
        for thread in self._closure(state, before):
            threads.update(self._moves(thread, membership))
            if len(threads) > _MAX_THREADS:
                raise UnsupportedPatternError
        if _Thread(self._final) in threads:  # whatever follows, the text matches
            threads = {_Thread(self._final)}
        return State(before if self._has_words else _OTHER, frozenset(threads))

    def _moves(self, thread: _Thread, membership: tuple[bool, ...]) -> Iterator[_Thread]:
        """Yield what a thread may become after a character."""
        ends = self._read_by(thread.state, membership)
        choices = [self._read_by(state, membership) for state in thread.wanted]
        unwanted = frozenset(
            frozenset(end for state in states for end in self._read_by(state, membership))
            for states in thread.unwanted
        )
        for end in ends:
            for wanted in product(*choices):
                yield _Thread(end, frozenset(wanted), unwanted)

    def _read_by(self, state: int, membership: tuple[bool, ...]) -> list[int]:
        return [end for number, end in self._steps[state] if membership[number]]

    def _closure(self, state: State, after: int) -> set[_Thread]:
        """Return the threads that are reached without a character, borders included."""
        seen: set[_Thread] = set()
        pending = list(state.threads)
        while pending:
            thread = self._settled(pending.pop(), state.before, after)
            if thread is None or thread in seen:
                continue
            seen.add(thread)
            if len(seen) > _MAX_THREADS:
                raise UnsupportedPatternError
            self.work += 1
            pending += self._following(thread, state.before, after)
            for wanted in thread.wanted:
                rest = thread.wanted - {wanted}
                pending += [
                    _Thread(
                        thread.state,
                        rest | {each.state} | each.wanted,
                        thread.unwanted | each.unwanted,
                    )
                    for each in self._following(_Thread(wanted), state.before, after)
                ]
        return seen

    def _settled(self, thread: _Thread, before: int, after: int) -> _Thread | None:
        """Return a thread without the lookaheads that are decided, None if one of them fails."""
        unwanted: set[frozenset[int]] = set()
        for states in thread.unwanted:
            reached = self._reached(states, before, after)
            if self._ends & reached:
                return None
            if reached:
                unwanted.add(reached)
        return _Thread(thread.state, thread.wanted - self._ends, frozenset(unwanted))

    def _following(self, thread: _Thread, before: int, after: int) -> Iterator[_Thread]:
        for end in self._plain[thread.state]:
            yield thread._replace(state=end)
        for kind, end in self._borders[thread.state]:
            if _holds(kind, before, after):
                yield thread._replace(state=end)
        for inner, is_positive, end in self._aheads[thread.state]:
            if is_positive:
                yield _Thread(end, thread.wanted | {inner}, thread.unwanted)
            else:
                yield _Thread(end, thread.wanted, thread.unwanted | {frozenset({inner})})

    def _reached(self, states: frozenset[int], before: int, after: int) -> frozenset[int]:
        seen: set[int] = set()
        pending = list(states)
        while pending:
            state = pending.pop()
            if state in seen:
                continue
            seen.add(state)
            if self._aheads[state]:
                raise UnsupportedPatternError
            pending += self._plain[state]
            pending += [end for kind, end in self._borders[state] if _holds(kind, before, after)]
        return frozenset(seen)


def _holds(kind: str, before: int, after: int) -> bool:
    if kind == "^":
        return before == _EDGE
    if kind == "$":
        return after == _EDGE
    return ((before == _WORD) != (after == _WORD)) == (kind == "b")


def membership(sets: Iterable[Characters], code: int) -> tuple[bool, ...]:
    """Return for each of some sets whether a character is in it.

    Args:
        sets: The sets.
        code: The code point of the character.
    """
    return tuple(any(low <= code <= high for low, high in found) for found in sets)


Match = tuple[tuple[Automaton, bool], ...]
"""Automata that must all accept a text, or not accept it."""


@lru_cache(maxsize=512)
def match_of(pattern: str) -> Match:
    """Return the automata of a pattern: one for each lookahead at its beginning, one for the rest.

    Args:
        pattern: The pattern.

    Raises:
        UnsupportedPatternError: There are none.
    """
    tree = parse(pattern)
    start = Border("^")
    if not isinstance(tree, Sequence) or tree.parts[:1] != (start,):
        return ((Automaton(tree), True),)
    aheads = [*takewhile(lambda part: isinstance(part, Ahead), tree.parts[1:])]
    rest = Sequence((start, *tree.parts[1 + len(aheads) :]))
    return (
        *(
            (Automaton(Sequence((start, each.part))), each.is_positive)
            for each in aheads
            if isinstance(each, Ahead)
        ),
        (Automaton(rest), True),
    )

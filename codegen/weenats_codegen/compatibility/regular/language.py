"""Texts that match some patterns and do not match others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.compatibility.regular.automaton import membership
from weenats_codegen.compatibility.regular.characters import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weenats_codegen.compatibility.budget import Budget
    from weenats_codegen.compatibility.regular.automaton import Automaton, State

_PREFERRED: Final = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_ .:/@"


class Language(NamedTuple):
    """A set of texts.

    Attributes:
        wanted: Each text matches all of these.
        unwanted: No text matches any of these.
        least: The fewest characters of a text.
        most: The most characters of a text, None without a limit.
    """

    wanted: Sequence[Automaton] = ()
    unwanted: Sequence[Automaton] = ()
    least: int = 0
    most: int | None = None


_States = tuple["State", ...]
_Letter = tuple[str, tuple[tuple[bool, ...], ...]]


def texts(language: Language, budget: Budget) -> Iterator[str]:
    """Yield texts of a language, short ones first; none if and only if it is empty.

    There may be more texts than are yielded: for each way through the automata, one.

    Args:
        language: The texts.
        budget: What the search may cost.

    Raises:
        OutOfStepsError: The search would cost more.
    """
    automata = [*language.wanted, *language.unwanted]
    letters = _letters(automata)
    layer: dict[_States, str] = {tuple(each.start for each in automata): ""}
    visited: set[_States] = set()
    length = 0
    while layer:
        if length >= language.least:
            yield from (text for states, text in layer.items() if _is_in(language, states))
            visited.update(layer)
        if length == language.most:
            return
        following: dict[_States, str] = {}
        for states, text in layer.items():
            budget.spend(len(letters) * (1 + len(automata)))
            for letter, memberships in letters:
                moved = tuple(
                    each.step(state, member)
                    for each, state, member in zip(automata, states, memberships, strict=True)
                )
                if moved not in visited and moved not in following and _may_match(language, moved):
                    following[moved] = text + letter
        layer = following
        length += 1


def is_excluded(language: Language, text: str) -> bool:
    """Return whether a text is not in a language.

    Args:
        language: The texts.
        text: The text.
    """
    return (
        len(text) < language.least
        or (language.most is not None and len(text) > language.most)
        or not all(each.is_match(text) for each in language.wanted)
        or any(each.is_match(text) for each in language.unwanted)
    )


def _is_in(language: Language, states: _States) -> bool:
    automata = (*language.wanted, *language.unwanted)
    count = len(language.wanted)
    return all(
        each.accepts(state) is (number < count)
        for number, (each, state) in enumerate(zip(automata, states, strict=True))
    )


def _may_match(language: Language, states: _States) -> bool:
    """Return whether what follows can still make the text one of the language."""
    count = len(language.wanted)
    return all(state.threads for state in states[:count])


def _letters(automata: Sequence[Automaton]) -> list[_Letter]:
    """Return a character for each set of characters that the automata tell apart."""
    sets = [each.sets for each in automata]
    borders = {low for group in sets for found in group for low, _ in found}
    borders |= {high + 1 for group in sets for found in group for _, high in found}
    borders |= {low for low, _ in ALL}
    result: dict[tuple[tuple[bool, ...], ...], str] = {}
    for code in (*map(ord, _PREFERRED), *sorted(borders)):
        if any(low <= code <= high for low, high in ALL):
            result.setdefault(tuple(membership(group, code) for group in sets), chr(code))
    return [(letter, key) for key, letter in result.items()]

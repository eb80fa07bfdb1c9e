"""Texts that match some patterns and do not match others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.compatibility.regular.automaton import membership
from weenats_codegen.compatibility.regular.characters import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weenats_codegen.compatibility.budget import Budget
    from weenats_codegen.compatibility.regular.automaton import Automaton, Match, State

_PREFERRED: Final = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_ .:/@"


class Language(NamedTuple):
    """A set of texts.

    Attributes:
        wanted: Each text matches all of these.
        unwanted: No text matches any of these.
        least: The fewest characters of a text.
        most: The most characters of a text, None without a limit.
    """

    wanted: Sequence[Match] = ()
    unwanted: Sequence[Match] = ()
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
    automata = _automata(language)
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
            before = sum(each.work for each in automata)
            for letter, memberships in letters:
                moved = tuple(
                    each.step(state, member)
                    for each, state, member in zip(automata, states, memberships, strict=True)
                )
                if moved not in visited and moved not in following and _may_match(language, moved):
                    following[moved] = text + letter
            spent = sum(each.work for each in automata) - before
            budget.spend(len(letters) * (1 + len(automata)) + spent)
        layer = following
        length += 1


def _automata(language: Language) -> list[Automaton]:
    return [each for match in (*language.wanted, *language.unwanted) for each, _ in match]


def _is_in(language: Language, states: _States) -> bool:
    matches: list[bool] = []
    at = 0
    for match in (*language.wanted, *language.unwanted):
        own = states[at : at + len(match)]
        pairs = zip(match, own, strict=True)
        matches.append(all(each.accepts(state) is sign for (each, sign), state in pairs))
        at += len(match)
    count = len(language.wanted)
    return all(matches[:count]) and not any(matches[count:])


def _may_match(language: Language, states: _States) -> bool:
    """Return whether what follows can still make the text one of the language."""
    signs = [is_positive for match in language.wanted for _, is_positive in match]
    return all(
        state.threads or not is_positive for state, is_positive in zip(states, signs, strict=False)
    )


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

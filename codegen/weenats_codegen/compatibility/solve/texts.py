"""Texts with a length, patterns and formats."""

from __future__ import annotations

from itertools import chain, islice, product
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.compatibility.formula.atoms import (
    HasFormat,
    Length,
    Matches,
)
from weenats_codegen.compatibility.formula.oracle import has_format, matches
from weenats_codegen.compatibility.regular.automaton import Automaton, Match, match_of
from weenats_codegen.compatibility.regular.language import Language, texts
from weenats_codegen.compatibility.regular.syntax import (
    Border,
    Choice,
    Sequence,
    Set,
    UnsupportedPatternError,
)
from weenats_codegen.compatibility.solve.formats import (
    BROKEN,
    EXACT,
    INCLUDED,
    LONGER,
    LONGEST,
    PATTERNS,
    SAMPLES,
)
from weenats_codegen.compatibility.solve.outcome import NOTHING, Found, Outcome, Unknown
from weenats_codegen.ir.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from weenats_codegen.compatibility.budget import Budget
    from weenats_codegen.compatibility.formula.atoms import Atom

_MAX_CANDIDATES: Final = 200
_MAX_LENGTH: Final = 20_000
_MAX_PLAIN_LENGTH: Final = 1_000_000
"""The most characters of a text without patterns and formats."""
_ALPHABET: Final = "ab1-A\u00e9"
_MAX_WORD: Final = 4


class _Wanted(NamedTuple):
    patterns: list[str]
    unwanted_patterns: list[str]
    formats: list[str]
    unwanted_formats: list[str]

    def has(self, text: str) -> bool:
        """Return whether a text is as its patterns and formats say."""
        return (
            all(matches(each, text) for each in self.patterns)
            and not any(matches(each, text) for each in self.unwanted_patterns)
            and all(has_format(each, text) for each in self.formats)
            and not any(has_format(each, text) for each in self.unwanted_formats)
        )


def find_text(atoms: Mapping[Atom, bool], excluded: Iterable[str], budget: Budget) -> Outcome:
    """Return a text.

    Args:
        atoms: What must hold of it, and what must not.
        excluded: Texts that it must not be.
        budget: What the search may cost.
    """
    least = max(
        (each.least for each in atoms if isinstance(each, Length) and atoms[each]), default=0
    )
    most = min(
        (each.least - 1 for each in atoms if isinstance(each, Length) and not atoms[each]),
        default=None,
    )
    wanted = _wanted(atoms)
    is_empty = most is not None and most < least
    is_empty |= any(LONGEST.get(each, least) < least for each in wanted.formats)
    if is_empty or any(INCLUDED.get(each) in wanted.unwanted_formats for each in wanted.formats):
        return NOTHING
    banned = frozenset(excluded)
    if not any(wanted) and not banned and least <= _MAX_PLAIN_LENGTH:
        return _found("a" * least)
    if least > _MAX_LENGTH:
        return Unknown("long texts")
    language = _language(wanted, banned, least, most)
    found = texts(language, budget)
    first = next(found, None)
    if first is None:
        return NOTHING
    for text in chain([first], islice(found, _MAX_CANDIDATES), _guesses(wanted, least, most)):
        is_long = len(text) >= least and (most is None or len(text) <= most)
        if is_long and text not in banned and wanted.has(text):
            return _found(text)
    return Unknown("texts with formats and patterns")


def _found(text: str) -> Found:
    return Found(text, size_of(text))


def _wanted(atoms: Mapping[Atom, bool]) -> _Wanted:
    wanted = _Wanted([], [], [], [])
    for atom, is_met in atoms.items():
        if isinstance(atom, Matches):
            (wanted.patterns if is_met else wanted.unwanted_patterns).append(atom.pattern)
        elif isinstance(atom, HasFormat):
            (wanted.formats if is_met else wanted.unwanted_formats).append(atom.format)
    return wanted


def _language(wanted: _Wanted, banned: frozenset[str], least: int, most: int | None) -> Language:
    """Return a language that has all the texts, and maybe more."""
    patterns = [*wanted.patterns, *(PATTERNS[each] for each in wanted.formats if each in PATTERNS)]
    unwanted = [
        *wanted.unwanted_patterns,
        *(PATTERNS[each] for each in wanted.unwanted_formats if each in EXACT),
    ]
    without = [((_of_texts(banned), True),)] if banned else []
    return Language([*_matches(patterns)], [*_matches(unwanted), *without], least, most)


def _matches(patterns: Iterable[str]) -> Iterator[Match]:
    """Yield the automata of the patterns that have some."""
    for pattern in patterns:
        try:
            yield match_of(pattern)
        except UnsupportedPatternError:
            continue


def _of_texts(banned: frozenset[str]) -> Automaton:
    parts = [
        Sequence(tuple(Set(((ord(each), ord(each)),)) for each in text)) for text in sorted(banned)
    ]
    return Automaton(Sequence((Border("^"), Choice(tuple(parts)), Border("$"))))


def _guesses(wanted: _Wanted, least: int, most: int | None) -> Iterator[str]:
    """Yield texts that may be right, where automata do not tell."""
    for name in wanted.formats:
        yield from SAMPLES.get(name, ())
    for name in wanted.unwanted_formats:
        yield from BROKEN.get(name, ())
    for length in range(_MAX_WORD + 1):
        for letters in product(_ALPHABET, repeat=length):
            yield "".join(letters)
    for name in wanted.formats:
        for text in SAMPLES.get(name, ()):
            yield from (text + "a" * max(0, least - len(text)), text[:most])
        for head, middle, tail in LONGER.get(name, ()):
            length = max(0, least - len(head) - len(tail))
            yield f"{head}{(middle * length)[:length]}{tail}"

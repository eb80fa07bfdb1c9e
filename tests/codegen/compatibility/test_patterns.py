r"""Patterns as automata match what jsonschema-rs matches."""

from __future__ import annotations

from itertools import islice, product
from typing import Final

import pytest

from weenats_codegen.compatibility.budget import Budget, OutOfStepsError
from weenats_codegen.compatibility.formula.atoms import HasFormat, Length
from weenats_codegen.compatibility.formula.oracle import has_format, matches
from weenats_codegen.compatibility.regular.automaton import match_of, membership
from weenats_codegen.compatibility.regular.language import Language, texts
from weenats_codegen.compatibility.regular.syntax import UnsupportedPatternError
from weenats_codegen.compatibility.solve.formats import (
    BROKEN,
    EXACT,
    LONGER,
    LONGEST,
    PATTERNS,
    SAMPLES,
)
from weenats_codegen.compatibility.solve.outcome import Found, Nothing
from weenats_codegen.compatibility.solve.texts import find_text

TREES: Final = (
    *("^a", "b$", "^[a-c]+$", "^\\d{2,3}$", "[^x]", "a.c", "^(a|b)*$", "\\S", "(?=a)b", "\\w-\\w"),
    *("^[\\w.-]+$", "[a&&b]", "^(?:)$", "\\u0061+", "^(?!a)b?c*", "^(?=.*\\d)(?=.*[a-z]).{3,}$"),
    *("\\ba", "a\\b", "\\Bb", "(?!b)[ab](?=a)", "^(?=a(?=b))..$", "^a?(?:b|$)", "a(?!$)", "$^"),
    *("^(?!.*aa).*$", "(?:^|a)b(?:c|$)", "(?<x>a)b", "a{2}|b{1,}?"),
    *("[\\da-b]", "\\x61\\u{62}", "^\\p{L}$"),
    *("\\P{L}", "^\\cA|\\t", "\\D\\W\\s", "^(?:ab?)+$"),
    *("(?!(?:a?|b?)c)b", "[b\\-]", "\\.|\\-1", "\\p{gc=Lu}|\\p{Letter}1"),
)  # fmt: skip
UNSUPPORTED: Final = (
    *("(.)\\1", "(?<=a)b", "(?<!a)b", "a{1001}", "\\p{Script=Greek}", "(?:a{100}){100}"),
    *("[b-a]", "(a", "a)", "\\q", "*a", "^*", "^a(?!a(?!b)).*$", "\\p", "(?i)a"),
)


def accepts(pattern: str, text: str) -> bool:
    """Return whether the automata of a pattern match a text."""
    for automaton, is_positive in match_of(pattern):
        state = automaton.start
        for character in text:
            state = automaton.step(state, membership(automaton.sets, ord(character)))
        if automaton.accepts(state) is not is_positive:
            return False
    return True


@pytest.mark.parametrize("pattern", TREES)
def test_automaton_matches_as_the_oracle(pattern: str) -> None:
    """Every short text is matched alike."""
    for length in range(5):
        for letters in product("abc1-", repeat=length):
            text = "".join(letters)
            assert accepts(pattern, text) is matches(pattern, text), text
    for text in ("\u00e9", "\n", "A1", "\x01", "x", "ab c", "\U0001f600"):
        assert accepts(pattern, text) is matches(pattern, text), text


@pytest.mark.parametrize("pattern", UNSUPPORTED)
def test_what_is_not_supported_is_refused(pattern: str) -> None:
    """What automata cannot decide is refused, never decided wrongly."""
    with pytest.raises(UnsupportedPatternError):
        accepts(pattern, "aab")


def test_texts_of_a_language() -> None:
    """Texts match what is wanted, nothing that is not, and have the lengths."""
    language = Language([match_of("^[ab]*$")], [match_of("aa")], 2, 3)
    found = [*texts(language, Budget(10_000))]
    assert found
    assert all(2 <= len(text) <= 3 and "aa" not in text for text in found)
    nothing = Language([match_of("^a+$")], [match_of("^a")])
    assert [*texts(nothing, Budget(10_000))] == []
    with pytest.raises(OutOfStepsError):
        next(texts(Language([match_of("^(a|b)*a(a|b){12}$")], [match_of("b")]), Budget(100)))


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_of_formats(name: str) -> None:
    """Every text of a format matches its pattern; of exact ones, every match has the format."""
    for text in (*SAMPLES[name], *BROKEN.get(name, ())):
        assert not has_format(name, text) or matches(PATTERNS[name], text), text
        assert name not in EXACT or has_format(name, text) is matches(PATTERNS[name], text)
    assert all(has_format(name, text) for text in SAMPLES[name])
    assert not any(has_format(name, text) for text in BROKEN.get(name, ()))
    if name in EXACT:
        language = Language([match_of(PATTERNS[name])])
        assert all(has_format(name, text) for text in islice(texts(language, Budget(10**6)), 20))


@pytest.mark.parametrize("name", sorted({*LONGEST, *LONGER}))
def test_lengths_of_formats(name: str) -> None:
    """A format with a limit has a text as long as that and none longer; others have long texts."""
    limit = LONGEST.get(name, 1000)
    long = {HasFormat(name): True, Length(limit): True}
    longer = {HasFormat(name): True, Length(limit + 1): True}
    budget = Budget(10**6)
    if name != "ipv6":
        assert isinstance(find_text(long, (), budget), Found)
    assert isinstance(find_text(longer, (), budget), Nothing if name in LONGEST else Found)


def test_limits_of_formats_are_not_too_low() -> None:
    """The longest texts that the limits rest on, and those that are longer by a character."""
    domain = "a." * 126 + "a"
    assert has_format("hostname", domain)
    assert not has_format("hostname", f"{domain}b")
    assert has_format("email", f"{'a' * 64}@{domain}")
    assert not has_format("email", f"{'a' * 64}@{domain}b")
    assert not has_format("email", f"{'a' * 65}@{domain}")
    assert not has_format("date", "10000-01-01")
    assert has_format("ipv6", ":".join(["ffff"] * 6) + ":255.255.255.255")

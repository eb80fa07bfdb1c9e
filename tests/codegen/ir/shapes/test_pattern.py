"""Patterns that models check: they match what ECMA-262 says, or are left to the judge."""

from typing import Annotated

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from testkit.properties import examples
from weenats_codegen.ir.shapes.pattern import translated

TEXTS = [
    "", "a", "A", "ab", "ba", "aab", "1", "12", "a1", "_", "-", "a-b", "a.b", "[", "]", "&", "~",
    "\\", "/", "^", "$", "{", " ", "\t", "\n", "a\n", "\r", "\x0b", "\x0c", "\xa0", "\u2028",
    "\ufeff", "\u1680", "\u200b", "\u0663", "é", "\u00df", "😀", "x" * 20,
]  # fmt: skip
"""Texts that patterns of different engines tell apart."""


def agrees(pattern: str, model: str) -> bool:
    """Return whether a model's pattern matches the same texts as the pattern of a schema."""
    judge = jsonschema_rs.Draft202012Validator({"pattern": pattern})
    adapter = TypeAdapter(Annotated[str, Field(pattern=model)])
    for text in TEXTS:
        try:
            adapter.validate_python(text)
        except ValidationError:
            if judge.is_valid(text):
                return False
        else:
            if not judge.is_valid(text):
                return False
    return True


@pytest.mark.parametrize(
    ("pattern", "model"),
    [
        ("", ""),
        ("^[A-Z][a-z0-9_-]*$", "^[A-Z][a-z0-9_-]*$"),
        (r"^\d{2,3}$", "^[0-9]{2,3}$"),
        (r"^\w+$", "^[0-9A-Za-z_]+$"),
        (r"[\w.]", "[0-9A-Za-z_.]"),
        (r"\D", "[^0-9]"),
        (r"^\x41\u0042\/\.$", r"^\x41\u0042\/\.$"),
        ("[a&&b]", r"[a\&\&b]"),
        ("[[a]", r"[\[a]"),
        ("a.b", r"a[^\n\r\x{2028}\x{2029}]b"),
        ("^(a|b)(?:c|)$", "^(a|b)(?:c|)$"),
        ("a+?b*?c??", "a+?b*?c??"),
    ],
)
def test_translated_patterns(pattern: str, model: str) -> None:
    """Classes are written out, and what is special in one engine only is escaped."""
    assert translated(pattern) == model
    assert agrees(pattern, model)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", r"\bab\b", r"\B", r"\p{L}", r"\u{1F600}", "(?<n>a)",
        "[]", "[^]", r"[\D]", r"[a-\d]", "a{5000}", "(a{1000}){1000}", r"\cA", r"\0", r"\ud83d",
        "a{,3}", r"[\b]",
    ],
)  # fmt: skip
def test_other_patterns_are_left_to_the_judge(pattern: str) -> None:
    """Look-around, back-references and whatever engines may read differently are not translated."""
    assert translated(pattern) is None


_ATOMS = st.sampled_from([
    "a", "b", "1", "-", "_", " ", ".",
    r"\d", r"\w", r"\s", r"\S", r"\D", r"\.", r"\/", r"\t", "é",
    "[ab]", "[^a]",
    r"[\w-]", r"[\s_]", "[a-z]", "[&&]", "[~-]", "[.]", r"[\]\\]", r"\x41", "^", "$",
])  # fmt: skip
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("|".join),
        st.builds(lambda part, mark: f"(?:{part}){mark}", inner, st.sampled_from("*+?")),
        st.builds(lambda part: f"({part}){{1,2}}", inner),
    ),
    max_leaves=6,
)


@pytest.mark.slow
@examples(10)
@given(_PATTERNS)
def test_any_translated_pattern_agrees(pattern: str) -> None:
    """A pattern that is translated matches the same texts in both engines."""
    model = translated(pattern)
    assert model is None or agrees(pattern, model)

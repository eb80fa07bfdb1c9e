"""Patterns of ECMA-262: what Annex B allows is written in a form that the engine reads."""

import jsonschema_rs
import pytest

from weenats_codegen.parser.patterns import normalized

IS_PATTERN = jsonschema_rs.Draft202012Validator({"format": "regex"}, validate_formats=True)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^[\w-.]+$", "a-.b", "a,b"),
        (r"^[+-\d]$", "-", "."),
        (r"^[a-z-\d]$", "-", "_"),
        (r"^a{,3}$", "a{,3}", "aa"),
        (r"^{}$", "{}", ""),
        (r"^x{y}]$", "x{y}]", "x"),
        (r"^[[:alpha:]]$", "a]", "a"),
        (r"^[^]$", "\n", ""),
        (r"^[]$|^b$", "b", "a"),
        (r"^\0$", "\0", "0"),
        (r"^[\b]$", "\b", "b"),
        (r"^\ud83d\ude00$", "\U0001f600", "a"),
        (r"^[\ud83d\ude00-\ud83d\ude05]$", "\U0001f602", "a"),
        (r"^(?<a>x|y)(z)\k<a>1$", "xzx1", "xzy1"),
        (r"^[(](?<a>x)\k<a>$", "(xx", "(x"),
    ],
)
def test_pattern_means_what_browsers_read(pattern: str, good: str, bad: str) -> None:
    """Patterns that only the grammar of Annex B allows match what it says."""
    written = normalized(pattern)
    assert IS_PATTERN.is_valid(written)
    judge = jsonschema_rs.Draft202012Validator({"pattern": written})
    assert judge.is_valid(good)
    assert not judge.is_valid(bad)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "^a{2,3}?$",
        r"[a-z]+",
        r"\d\.\-\/",
        r"(?=a)(?!b)",
        "[a&&b]",
        r"\p{L}\u{1f600}\x41",
        "[-a]",
    ],
)
def test_strict_pattern_is_unchanged(pattern: str) -> None:
    """What the strict grammar allows remains as it is written."""
    assert normalized(pattern) == pattern
    assert IS_PATTERN.is_valid(pattern)


@pytest.mark.parametrize("pattern", ["(", "a**", "[b-a]", "a{3,1}", r"\Z", "(?i)a", "[a", r"\01"])
def test_invalid_pattern_remains_invalid(pattern: str) -> None:
    """What ECMA-262 refuses is not made valid."""
    assert not IS_PATTERN.is_valid(normalized(pattern))

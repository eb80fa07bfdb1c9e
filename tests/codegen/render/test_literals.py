"""Any text of a contract becomes a literal with that text."""

from __future__ import annotations

import ast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testkit.properties import examples
from weenats_codegen.render.literals import LINE_LENGTH, docstring, string

# Letters, everything that means something to Python, templates or terminals, and all the rest.
TEXTS = st.text(
    st.one_of(
        st.sampled_from(
            "\"'\\\n\r\t{}%#:.;()`$ \u202e\u2066\u200b\ufeff\x00\x1b\x85\u2028\u2029ab"
        ),
        st.characters(codec="utf-8"),
    ),
    max_size=400,
)
NASTY = ['"""', '\\"""', '"', "\\", "'''", '""""""', "\\N{DASH}", "a\\", 'a"', "\r", "#\n", "Args:"]


@given(TEXTS)
@examples(3, derandomize=True)
@example("x" * 500)
@example('"""\n' * 50)
def test_a_string_reads_back_as_it_was(text: str) -> None:
    """A literal is one expression with the text as its value."""
    literal = string(text)
    assert ast.literal_eval(literal) == text
    assert literal.replace("\n", "").isprintable()


@given(TEXTS, st.sampled_from([0, 4, 8]), st.sampled_from(["", "Publish it"]))
@examples(5, derandomize=True)
@example("x" * 500, 4, "")
@example("a. " + "b" * 300, 4, "")
def test_a_docstring_is_one_string_and_nothing_else(text: str, indent: int, lead: str) -> None:
    """A docstring is one constant without invisible characters and escapes."""
    literal = docstring(text, indent=indent, lead=lead)
    module = ast.parse(f"{literal}\n")
    assert len(module.body) == 1
    assert isinstance(module.body[0], ast.Expr)
    assert isinstance(module.body[0].value, ast.Constant)
    value = ast.literal_eval(literal)
    assert literal.removeprefix("r") == f'"""{value}"""'
    assert value.replace("\n", "").isprintable()


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("indent", [0, 4, 8])
def test_what_could_end_a_docstring_does_not(text: str, indent: int) -> None:
    """Quotes and backslashes at the start and end are kept inside."""
    for whole in (text, f"{text}abc", f"abc{text}", f"abc\n{text}\nabc{text}"):
        literal = docstring(whole, indent=indent, raises={"E": whole})
        assert len(ast.parse(literal).body) == 1
        assert "import" not in {type(node).__name__ for node in ast.walk(ast.parse(literal))}


@given(TEXTS)
@examples(3, derandomize=True)
@example("word " * 200)
@example("A sentence. " + "word " * 100)
@example("\u02bc")
def test_a_docstring_keeps_within_the_line(text: str) -> None:
    """Lines are within the line length, unless a single word is longer."""
    for line in f"{' ' * 8}{docstring(text, indent=8)}".split("\n"):
        assert len(line) <= LINE_LENGTH or len(line.split()) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("add it", '"""Add it."""'),
        ("Really?", '"""Really?"""'),
        ("", '"""No description."""'),
        ("\n\n  --  \n it is", '"""It is."""'),
        ("One.\nTwo.", '"""One.\n\n    Two.\n    """'),
        ("One.\n\nReturns:\n  x", '"""One.\n\n    "Returns:"\n      x\n    """'),
        ("a \\ b", 'r"""A \\ b."""'),
        ('"Quoted" text', '"""\'Quoted\' text."""'),
        ("\u201cCurly\u201d \u2013 and \u2026", '"""\'Curly\' - and ..."""'),
        ("bell \x07 and bidi \u202e", '"""Bell \ufffd and bidi \ufffd."""'),
        ("\u0433\u0434\u0435", '"""\u0413\u0434\u0435."""'),
    ],
)
def test_a_docstring_reads_well(text: str, shown: str) -> None:
    """A docstring has a summary that is a sentence, and a separate body."""
    assert docstring(text) == shown


def test_a_docstring_says_what_is_raised() -> None:
    """The Raises section is wrapped with indentation."""
    raises = {"BadError": f"{'much ' * 17}more", "OddError": "\n"}
    assert docstring("Do it.", indent=8, raises=raises).split("\n")[2:] == [
        f"{' ' * 8}Raises:",
        f"{' ' * 12}BadError: Much{' much' * 14}",
        f"{' ' * 16}much much more.",
        f"{' ' * 12}OddError: No description.",
        f'{" " * 8}"""',
    ]


def test_a_long_summary_is_cut_and_told_in_full_below() -> None:
    """The summary is the first sentence, or the words that fit; the body has all."""
    words = "word " * 30
    assert docstring(f"First. {words}").startswith('"""First.\n\n    word word')
    cut = ast.literal_eval(docstring(words))
    assert cut.split("\n")[0].endswith(" ...")
    assert cut.count("word") > 30

"""Text of a contract as Python string literals and docstrings."""

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
def test_string_literal_round_trip(text: str) -> None:
    """The literal is one expression, and its value is the text."""
    literal = string(text)
    assert ast.literal_eval(literal) == text
    assert literal.replace("\n", "").isprintable()


@given(TEXTS, st.sampled_from([0, 4, 8]), st.sampled_from(["", "Publish it"]))
@examples(5, derandomize=True)
@example("x" * 500, 4, "")
@example("a. " + "b" * 300, 4, "")
def test_docstring_is_single_constant(text: str, indent: int, lead: str) -> None:
    """A docstring is one constant, without invisible characters or active escapes."""
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
def test_text_cannot_end_docstring(text: str, indent: int) -> None:
    """Quotes and backslashes at either end of the text do not end the docstring."""
    for whole in (text, f"{text}abc", f"abc{text}", f"abc\n{text}\nabc{text}"):
        literal = docstring(whole, indent=indent, raises={"E": whole})
        assert len(ast.parse(literal).body) == 1
        assert "import" not in {type(node).__name__ for node in ast.walk(ast.parse(literal))}


@given(TEXTS)
@examples(3, derandomize=True)
@example("word " * 200)
@example("A sentence. " + "word " * 100)
@example("\u02bc")
def test_docstring_fits_line_length(text: str) -> None:
    """Docstrings are wrapped; only a single long word exceeds the line length."""
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
def test_docstring_text_is_normalized(text: str, shown: str) -> None:
    """A docstring has a summary sentence, a separate body and normalized characters."""
    assert docstring(text) == shown


def test_docstring_raises_section() -> None:
    """The Raises section is wrapped and indented; an empty description gets a default."""
    raises = {"BadError": f"{'much ' * 17}more", "OddError": "\n"}
    assert docstring("Do it.", indent=8, raises=raises).split("\n")[2:] == [
        f"{' ' * 8}Raises:",
        f"{' ' * 12}BadError: Much{' much' * 14}",
        f"{' ' * 16}much much more.",
        f"{' ' * 12}OddError: No description.",
        f'{" " * 8}"""',
    ]


def test_long_summary_continues_in_body() -> None:
    """A long summary is shortened to its first sentence or one line; no text is lost."""
    words = "word " * 30
    assert docstring(f"First. {words}").startswith('"""First.\n\n    word word')
    cut = ast.literal_eval(docstring(words))
    assert cut.split("\n")[0].endswith(" ...")
    assert cut.count("word") > 30

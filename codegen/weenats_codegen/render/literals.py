"""Text of a contract as Python source: the only way it gets there.

A contract is input, not trusted source. What is written here reads back as text, never as code.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LINE_LENGTH: Final = 100
_CHUNK: Final = 60
_SHORT: Final = 76
# Signs that readers take for others (RUF001, RUF002), and those others.
_LOOKS: Final = {
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    "'": "\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc",
    '"': "\u201c\u201d\u201e\u201f\u2033",
    "x": "\u00d7",
    "*": "\u2217",
    "/": "\u2044\u2215",
}
_PLAIN: Final = str.maketrans(
    {sign: plain for plain, signs in _LOOKS.items() for sign in signs}
    | {"\u2026": "...", "\u00a0": " ", "\t": "    "}
)
_SECTIONS: Final = re.compile(
    r"(?i)(args|arguments|attention|attributes|caution|danger|error|examples?|hint|important"
    r"|keyword arg(ument)?s|methods|notes?|other parameters|other params|parameters|params|returns?"
    r"|raises|receives|references|see also|short summary|extended summary|tip|todo|warnings?|warns"
    r"|yields?):?"
)


def string(value: str) -> str:
    """Return a string literal; a long one in pieces, for the formatter to put below each other."""
    literal = _literal(value)
    if len(literal) <= _SHORT:
        return literal
    pieces = [_literal(value[start : start + _CHUNK]) for start in range(0, len(value), _CHUNK)]
    return f"({' '.join(pieces)})"


def _literal(value: str) -> str:
    """Return a literal with letters as they are and any other sign beyond ASCII by its number."""
    return "".join(
        sign if sign.isascii() or sign.isalnum() else ascii(sign)[1:-1] for sign in repr(value)
    )


def docstring(
    text: str,
    *,
    indent: int = 4,
    fallback: str = "",
    lead: str = "",
    raises: Mapping[str, str] | None = None,
) -> str:
    """Return a docstring: its summary on one line, each line within the line length.

    Args:
        text: What it says. It is for people and therefore mended: what no docstring may hold is
            replaced.
        indent: How far its lines are indented; the first stands where the caller puts it.
        fallback: What it says when the text has nothing visible.
        lead: A summary to put before the text.
        raises: The exceptions to list, and when each is raised.

    Returns:
        The literal, with its quotes.
    """
    width = LINE_LENGTH - indent
    lines = _visible(text).split("\n")
    while lines and not _says_something(lines[0]):
        lines.pop(0)
    lines = lines or [_visible(fallback) or "It has no description"]
    if lead:
        lines = [lead, "", *lines]
    summary, body = _summary(lines, width - len('r"""..."""'))
    content = [summary]
    if any(body):
        content += ["", *(part for line in body for part in _wrap(line, width))]
    if raises:
        content += ["", "Raises:", *_raised(raises, width)]
    if len(content) > 1:
        content.append("")
    margin = " " * indent
    joined = "\n".join(
        f"{margin if line and number else ''}{line}" for number, line in enumerate(content)
    )
    if len(content) > 1:
        joined += margin
    raw = "r" if "\\" in joined else ""
    return f'{raw}"""{joined}"""'


def _raised(raises: Mapping[str, str], width: int) -> list[str]:
    """Return the lines of a Raises section."""
    lines: list[str] = []
    for name, reason in raises.items():
        words = " ".join(_visible(reason).split())
        text = f"{name}: {_sentence(words)}" if words else f"{name}: It is raised."
        lines += textwrap.wrap(
            text, width, initial_indent=" " * 4, subsequent_indent=" " * 8, break_on_hyphens=False
        )
    return lines


def _visible(text: str) -> str:
    """Return the text without what could end a docstring, reorder or hide what a reader sees."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_PLAIN)
    shown = "".join(char if char == "\n" or char.isprintable() else "\ufffd" for char in text)
    lines = [line.rstrip() for line in shown.replace('"""', "'''").strip().split("\n")]
    return "\n".join(lines)


def _says_something(text: str) -> bool:
    return any(sign.isalnum() for sign in text)


def _summary(lines: list[str], width: int) -> tuple[str, list[str]]:
    """Split into one line that ends like a sentence, and the rest."""
    first, *rest = lines
    first = first.strip()
    while rest and not rest[0]:
        rest.pop(0)
    if len(first) > width:
        sentence, stop, more = first.partition(". ")
        if stop and len(sentence) < width:
            return _sentence(sentence + "."), [more, *rest]
        short = textwrap.shorten(first, width - 4, placeholder="")
        return f"{short or first[: width - 4]} ...", [first, *rest]
    return _sentence(first), rest


def _sentence(line: str) -> str:
    if line.startswith('"'):
        line = line.replace('"', "'")
    line = line[:1].upper() + line[1:]
    return line if line.endswith((".", "!", "?")) else f"{line.rstrip(',;: ')}."


def _wrap(line: str, width: int) -> list[str]:
    """Wrap one line of the body; a line that docstring tools would take for a heading is quoted."""
    if _SECTIONS.fullmatch(line.strip()):
        return [f'"{line.strip()}"']
    margin = line[: len(line) - len(line.lstrip())][: width // 2]
    return textwrap.wrap(
        line.strip(),
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_on_hyphens=False,
    ) or [""]

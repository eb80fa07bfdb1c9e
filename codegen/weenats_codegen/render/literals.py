"""Text of a contract as Python literals and docstrings, and as strings of TOML and Markdown.

A contract is untrusted input: whatever it contains becomes text in the source, never code.
"""

import json
import re
import textwrap
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

LINE_LENGTH: Final = 100
_CHUNK: Final = 60
_SHORT: Final = 76
# Characters that look like others (RUF001, RUF002), by the character that they look like.
_CONFUSABLE: Final = {
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    "'": "\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc",
    '"': "\u201c\u201d\u201e\u201f\u2033",
    "x": "\u00d7",
    "*": "\u2217",
    "/": "\u2044\u2215",
}
_PLAIN: Final = str.maketrans(
    {char: plain for plain, chars in _CONFUSABLE.items() for char in chars}
    | {"\u2026": "...", "\u00a0": " ", "\t": "    "}
)
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>|#&])")
_SECTIONS: Final = re.compile(
    r"(?i)(args|arguments|attention|attributes|caution|danger|error|examples?|hint|important"
    r"|keyword arg(ument)?s|methods|notes?|other parameters|other params|parameters|params|returns?"
    r"|raises|receives|references|see also|short summary|extended summary|tip|todo|warnings?|warns"
    r"|yields?):?"
)


def string(value: str) -> str:
    """Return a string literal; a long one is split, so that the formatter can use several lines."""
    literal = _literal(value)
    if len(literal) <= _SHORT:
        return literal
    pieces = [_literal(value[start : start + _CHUNK]) for start in range(0, len(value), _CHUNK)]
    return f"({' '.join(pieces)})"


def value(found: JsonValue) -> str:
    """Return JSON as Python."""
    if isinstance(found, str):
        return string(found)
    if isinstance(found, dict):
        members = (f"{string(name)}: {value(each)}" for name, each in found.items())
        return f"{{{', '.join(members)}}}"
    if isinstance(found, list):
        return f"[{', '.join(map(value, found))}]"
    return repr(found)


def _literal(value: str) -> str:
    """Return a literal in which characters beyond ASCII are escaped unless they are letters."""
    return "".join(
        char if char.isascii() or char.isalnum() else ascii(char)[1:-1] for char in repr(value)
    )


def toml(text: str) -> str:
    """Return a string of TOML, which escapes as JSON does, and DEL as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def markdown(text: str) -> str:
    """Return text as Markdown on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(printable(text).split()))


def printable(text: str) -> str:
    """Return text with a space for each character that is not printable."""
    return "".join(each if each.isprintable() else " " for each in text)


def docstring(
    text: str,
    *,
    indent: int = 4,
    fallback: str = "",
    lead: str = "",
    raises: Mapping[str, str] | None = None,
) -> str:
    """Return a docstring literal: a summary on one line, no line longer than the line length.

    Args:
        text: The text; characters that a docstring cannot contain are replaced.
        indent: The indentation of its lines except the first one.
        fallback: The text if there is nothing visible in the other.
        lead: A summary to put before the text.
        raises: The exceptions to list, and when each one is raised.

    Returns:
        The literal, with quotes.
    """
    width = LINE_LENGTH - indent
    lines = _visible(text).split("\n")
    while lines and not any(map(str.isalnum, lines[0])):
        lines.pop(0)
    lines = lines or [_visible(fallback) or "No description"]
    if lead:
        lines = [lead, "", *lines]
    summary, body = _summary(lines, width - len('r"""..."""'))
    content = [summary]
    if any(body):
        content += ["", *(part for line in body for part in _wrap(line, width))]
    if raises:
        content += ["", "Raises:", *_raised(raises, width)]
    margin = " " * indent
    literal = textwrap.indent("\n".join(content), margin).removeprefix(margin)
    if len(content) > 1:
        literal += f"\n{margin}"
    raw = "r" if "\\" in literal else ""
    return f'{raw}"""{literal}"""'


def _raised(raises: Mapping[str, str], width: int) -> list[str]:
    """Return the lines of a Raises section."""
    lines: list[str] = []
    for name, reason in raises.items():
        words = " ".join(_visible(reason).split())
        text = f"{name}: {_sentence(words)}" if words else f"{name}: No description."
        lines += textwrap.wrap(
            text, width, initial_indent=" " * 4, subsequent_indent=" " * 8, break_on_hyphens=False
        )
    return lines


def _visible(text: str) -> str:
    """Return text without characters that end a docstring, are invisible or reorder text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_PLAIN)
    text = "".join(char if char == "\n" or char.isprintable() else "\ufffd" for char in text)
    lines = [line.rstrip() for line in text.replace('"""', "'''").strip().split("\n")]
    return "\n".join(lines)


def _summary(lines: list[str], width: int) -> tuple[str, list[str]]:
    """Return one line that ends like a sentence, and the rest of the lines."""
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
    """Wrap one line of the body; a line that docstring tools take for a heading is quoted."""
    if _SECTIONS.fullmatch(line.strip()):
        return [f'"{line.strip()}"']
    margin = line[: len(line) - len(line.lstrip())][: width // 2]
    return textwrap.wrap(
        line.strip(), width, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    ) or [""]

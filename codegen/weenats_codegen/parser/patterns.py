"""Regular expressions of ECMA-262, in the forms that every engine reads alike.

Annex B of ECMA-262 gives a meaning to much that looks wrong, and browsers follow it; the strict
grammar, which jsonschema-rs reads, has another form for each: `[\\w-.]` is `[\\w\\-.]`.
"""

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""
    \\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}  # a surrogate pair
  | \\k<[\w$]*>
  | \\[pP]\{[^}]*\} | \\u\{[^}]*\} | \\u[0-9a-fA-F]{4} | \\x[0-9a-fA-F]{2} | \\c[A-Za-z]
  | \\.
  | \(\?<(?P<group>[A-Za-z_$][\w$]*)> | \((?!\?)
  | \[\^? | \]
  | \{\d+(?:,\d*)?\}
  | .
    """,
    re.VERBOSE | re.DOTALL,
)
_CLASS_ESCAPES: Final = frozenset({r"\d", r"\D", r"\s", r"\S", r"\w", r"\W"})


def normalized(pattern: str) -> str:
    """Return a pattern with the same meaning and without what only Annex B allows.

    What neither allows remains, so that an engine refuses it.

    Args:
        pattern: The pattern.
    """
    tokens = [match[0] for match in _TOKEN.finditer(pattern)]
    groups = _groups(pattern)
    result: list[str] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token.startswith("["):
            end = _end_of_class(tokens, position)
            if end is None:
                return pattern
            result.append(_class(token, tokens[position + 1 : end]))
            position = end
        elif token in {"]", "}", "{"}:
            result.append(f"\\{token}")
        elif token.startswith(r"\k<"):
            number = groups.get(token[3:-1])
            result.append(token if number is None else rf"(?:\{number})")
        else:
            result.append(_escape(token, tokens[position + 1 : position + 2]))
        position += 1
    return "".join(result)


def _groups(pattern: str) -> dict[str, int]:
    """Return the numbers of the named groups."""
    found: dict[str, int] = {}
    number = 0
    is_class = False
    for match in _TOKEN.finditer(pattern):
        token = match[0]
        if is_class:
            is_class = token != "]"
        elif token.startswith("["):
            is_class = True
        elif token == "(" or match["group"] is not None:
            number += 1
            if match["group"] is not None:
                found[match["group"]] = number
    return found


def _end_of_class(tokens: list[str], start: int) -> int | None:
    return next((at for at in range(start + 1, len(tokens)) if tokens[at] == "]"), None)


def _class(opening: str, tokens: list[str]) -> str:
    """Return a character class."""
    if not tokens:
        return r"[\s\S]" if opening == "[^" else r"[^\s\S]"
    parts: list[str] = []
    for position, token in enumerate(tokens):
        is_dash = token == "-" and 0 < position < len(tokens) - 1
        beside = {tokens[position - 1], tokens[position + 1]} if is_dash else set[str]()
        if is_dash and any(each in _CLASS_ESCAPES or each[:2] in {r"\p", r"\P"} for each in beside):
            parts.append(r"\-")
        elif token == r"\b":
            parts.append(r"\x08")
        else:
            parts.append(_escape(token, tokens[position + 1 : position + 2]))
    return f"{opening}{''.join(parts)}]"


def _escape(token: str, following: list[str]) -> str:
    if len(token) == 12 and token.startswith(r"\u"):  # a surrogate pair
        high, low = int(token[2:6], 16), int(token[8:12], 16)
        return f"\\u{{{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):x}}}"
    if token == r"\0" and not (following and following[0].isdigit()):
        return r"\x00"
    return token

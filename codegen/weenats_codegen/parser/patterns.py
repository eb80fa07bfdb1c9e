r"""Regular expressions of ECMA-262, in the forms that every engine reads alike.

Annex B of ECMA-262 gives a meaning to much that looks wrong, and browsers follow it; the strict
grammar, which jsonschema-rs reads, has another form for each: `[\w-.]` is `[\w\-.]`.
"""

import re
from typing import Final

_PART: Final = re.compile(
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
    parts = [match[0] for match in _PART.finditer(pattern)]
    groups = _groups(pattern)
    result: list[str] = []
    position = 0
    while position < len(parts):
        part = parts[position]
        if part.startswith("["):
            end = _end_of_class(parts, position)
            if end is None:
                return pattern
            result.append(_class(part, parts[position + 1 : end]))
            position = end
        elif part in {"]", "}", "{"}:
            result.append(f"\\{part}")
        elif part.startswith(r"\k<"):
            number = groups.get(part[3:-1])
            result.append(part if number is None else rf"(?:\{number})")
        else:
            result.append(_escape(part, parts[position + 1 : position + 2]))
        position += 1
    return "".join(result)


def _groups(pattern: str) -> dict[str, int]:
    """Return the numbers of the named groups."""
    found: dict[str, int] = {}
    number = 0
    is_class = False
    for match in _PART.finditer(pattern):
        part = match[0]
        if is_class:
            is_class = part != "]"
        elif part.startswith("["):
            is_class = True
        elif part == "(" or match["group"] is not None:
            number += 1
            if match["group"] is not None:
                found[match["group"]] = number
    return found


def _end_of_class(parts: list[str], start: int) -> int | None:
    return next((at for at in range(start + 1, len(parts)) if parts[at] == "]"), None)


def _class(opening: str, parts: list[str]) -> str:
    """Return a character class."""
    if not parts:
        return r"[\s\S]" if opening == "[^" else r"[^\s\S]"
    result: list[str] = []
    for position, part in enumerate(parts):
        is_dash = part == "-" and 0 < position < len(parts) - 1
        beside = {parts[position - 1], parts[position + 1]} if is_dash else set[str]()
        if is_dash and any(each in _CLASS_ESCAPES or each[:2] in {r"\p", r"\P"} for each in beside):
            result.append(r"\-")
        elif part == r"\b":
            result.append(r"\x08")
        else:
            result.append(_escape(part, parts[position + 1 : position + 2]))
    return f"{opening}{''.join(result)}]"


def _escape(part: str, following: list[str]) -> str:
    if part.count(r"\u") == 2:  # noqa: PLR2004 - a surrogate pair
        high, low = int(part[2:6], 16), int(part[8:12], 16)
        return f"\\u{{{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):x}}}"
    if part == r"\0" and not (following and following[0].isdigit()):
        return r"\x00"
    return part

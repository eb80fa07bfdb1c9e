r"""Patterns of ECMA-262 -> patterns of Rust's engine that provably mean the same.

The subset is that of the constructs which both engines have, with classes such as `\d` written
out: they are ASCII in ECMA-262. Everything else is left to the judge.
"""

from functools import cache
from typing import Annotated, Final

from pydantic import Field, TypeAdapter
from pydantic_core import SchemaError

_SPACE: Final = (
    r"\t\n\x0b\x0c\r \xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
)
_CLASSES: Final = {"d": "0-9", "w": "0-9A-Za-z_", "s": _SPACE}
_CONTROLS: Final = {"t": r"\t", "n": r"\n", "r": r"\r", "f": r"\x0c", "v": r"\x0b"}
_DOT: Final = r"[^\n\r\x{2028}\x{2029}]"
_SPECIAL: Final = frozenset("^$\\.*+?()[]{}|")
_SPECIAL_IN_CLASS: Final = frozenset("^\\[]-&~")
_ESCAPABLE: Final = frozenset("^$\\.*+?()[]{}|/-")
_HEX: Final = {"x": 2, "u": 4}
_DIGITS: Final = frozenset("0123456789abcdefABCDEF")
_FIRST_SURROGATE: Final = 0xD800
_LAST_SURROGATE: Final = 0xDFFF
_MAX_COUNT: Final = 1000


class _UnsupportedError(Exception):
    """A construct outside of the subset."""


@cache
def translated(pattern: str) -> str | None:
    """Return a pattern for models that matches what the pattern of a schema matches.

    Args:
        pattern: A valid pattern of ECMA-262.

    Returns:
        The pattern; None if it cannot be proved that the models' engine can match it.
    """
    reader = _Reader(pattern)
    try:
        text = _alternatives(reader)
        TypeAdapter(Annotated[str, Field(pattern=text)])
    except (_UnsupportedError, SchemaError, RecursionError):
        return None
    return None if reader.left else text


class _Reader:
    """The characters of a pattern that have not been read yet."""

    def __init__(self, text: str) -> None:
        self._text: Final = text
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._text)

    def starts(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def take(self) -> str:
        if not self.left:
            raise _UnsupportedError
        self._at += 1
        return self._text[self._at - 1]

    def skip(self, text: str) -> bool:
        found = self.starts(text)
        self._at += len(text) * found
        return found

    def digits(self) -> str:
        start = self._at
        while self.left and self._text[self._at] in "0123456789":
            self._at += 1
        return self._text[start : self._at]


def _alternatives(reader: _Reader) -> str:
    branches = [_sequence(reader)]
    while reader.skip("|"):
        branches.append(_sequence(reader))
    return "|".join(branches)


def _sequence(reader: _Reader) -> str:
    terms = ""
    while reader.left and not (reader.starts("|") or reader.starts(")")):
        if reader.skip("^"):
            terms += "^"
        elif reader.skip("$"):
            terms += "$"
        else:
            terms += _atom(reader) + _quantifier(reader)
    return terms


def _atom(reader: _Reader) -> str:
    character = reader.take()
    match character:
        case "(":
            return _group(reader)
        case "[":
            return _class(reader)
        case ".":
            return _DOT
        case "\\":
            return _escape(reader)
        case _ if character in _SPECIAL:
            raise _UnsupportedError
        case _:
            return character


def _group(reader: _Reader) -> str:
    head = "(?:" if reader.skip("?:") else "("
    if reader.starts("?"):
        raise _UnsupportedError
    inner = _alternatives(reader)
    if not reader.skip(")"):
        raise _UnsupportedError
    return f"{head}{inner})"


def _quantifier(reader: _Reader) -> str:
    quantifier = next((sign for sign in "*+?" if reader.skip(sign)), "")
    if not quantifier and reader.skip("{"):
        quantifier = f"{{{_count(reader)}"
        if reader.skip(","):
            quantifier += f",{_count(reader) if not reader.starts('}') else ''}"
        if not reader.skip("}"):
            raise _UnsupportedError
        quantifier += "}"
    if quantifier and reader.skip("?"):  # lazy: matches the same strings
        quantifier += "?"
    return quantifier


def _count(reader: _Reader) -> str:
    digits = reader.digits()
    if not digits or len(digits) > len(str(_MAX_COUNT)) or int(digits) > _MAX_COUNT:
        raise _UnsupportedError
    return digits


def _escape(reader: _Reader) -> str:
    letter = reader.take()
    if letter in _CLASSES:
        return f"[{_CLASSES[letter]}]"
    if letter.lower() in _CLASSES:
        return f"[^{_CLASSES[letter.lower()]}]"
    return _character(letter, reader)


def _character(letter: str, reader: _Reader) -> str:
    """Return the escape of one character, whose letter has been read."""
    if letter in _CONTROLS:
        return _CONTROLS[letter]
    if letter in _HEX:
        digits = "".join(reader.take() for _ in range(_HEX[letter]))
        if set(digits) <= _DIGITS and not _FIRST_SURROGATE <= int(digits, 16) <= _LAST_SURROGATE:
            return f"\\{letter}{digits}"
    if letter not in _ESCAPABLE:
        raise _UnsupportedError
    return f"\\{letter}"


def _class(reader: _Reader) -> str:
    negated = "^" if reader.skip("^") else ""
    items = ""
    while not reader.skip("]"):
        if items and not items.endswith("-") and reader.skip("-]"):
            return f"[{negated}{items}-]"
        items += _class_item(reader)
    if not items:
        raise _UnsupportedError
    return f"[{negated}{items}]"


def _class_item(reader: _Reader) -> str:
    first, is_set = _class_member(reader)
    if not reader.starts("-") or reader.starts("-]"):
        return first
    reader.take()
    last, is_other_set = _class_member(reader)
    if is_set or is_other_set:
        raise _UnsupportedError
    return f"{first}-{last}"


def _class_member(reader: _Reader) -> tuple[str, bool]:
    """Return a character of a class, or the set of an escape, and whether it is a set."""
    character = reader.take()
    if character != "\\":
        return (f"\\{character}" if character in _SPECIAL_IN_CLASS else character), False
    letter = reader.take()
    if letter in _CLASSES:
        return _CLASSES[letter], True
    return _character(letter, reader), False

r"""Patterns of ECMA-262 as trees.

What no finite automaton can decide, such as `\1`, or what is too rare to be worth it, such as
lookbehind, is refused with `UnsupportedPatternError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from weenats_codegen.compatibility.regular import characters
from weenats_codegen.compatibility.regular.characters import Characters, complement, union

_MAX_REPEAT: Final = 1000
_ESCAPED: Final = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}
_CLASSES: Final = {"d": characters.DIGITS, "w": characters.WORD, "s": characters.SPACES}
_CATEGORIES: Final = frozenset({
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc",
    "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp",
})  # fmt: skip
_LONG_CATEGORIES: Final = {"Letter": "L", "Number": "N", "Punctuation": "P", "Symbol": "S"}


class UnsupportedPatternError(Exception):
    """A pattern is not one that automata are made of."""


@dataclass(frozen=True, slots=True)
class Set:
    """One character of a set."""

    characters: Characters


@dataclass(frozen=True, slots=True)
class Sequence:
    """Several parts, one after the other."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several parts."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part, several times; `most` is None without a limit."""

    part: Tree
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Border:
    r"""A place between characters: `^`, `$`, `b` for `\b`, or `B` for `\B`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Ahead:
    """A lookahead: what follows begins with the part, or does not."""

    part: Tree
    is_positive: bool


Tree = Set | Sequence | Choice | Repeat | Border | Ahead


def parse(pattern: str) -> Tree:
    """Return the tree of a pattern.

    Args:
        pattern: The pattern, which engines accept.

    Raises:
        UnsupportedPatternError: It is not regular, or uses what is not supported.
    """
    parser = _Parser(pattern)
    try:
        tree = parser.choice()
    except (IndexError, ValueError, RecursionError):
        raise UnsupportedPatternError(pattern) from None
    if parser.rest:
        raise UnsupportedPatternError(pattern)
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self._text: Final = text
        self._at = 0

    @property
    def rest(self) -> str:
        return self._text[self._at :]

    def choice(self) -> Tree:
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _take(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _next(self) -> str:
        character = self._text[self._at]
        self._at += 1
        return character

    def _sequence(self) -> Tree:
        parts: list[Tree] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, atom: Tree) -> Tree:
        bounds = self._bounds()
        while bounds is not None:
            self._take("?")  # lazy repetition finds other matches, in the same texts
            if isinstance(atom, Border | Ahead) or max(bounds[0], bounds[1] or 0) > _MAX_REPEAT:
                raise UnsupportedPatternError(self._text)
            atom = Repeat(atom, *bounds)
            bounds = self._bounds()
        return atom

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        if not self._take("{"):
            return None
        least, comma, most = self._until("}").partition(",")
        return int(least), (int(most) if most else None) if comma else int(least)

    def _until(self, end: str) -> str:
        stop = self._text.index(end, self._at)
        found = self._text[self._at : stop]
        self._at = stop + len(end)
        return found

    def _atom(self) -> Tree:  # noqa: PLR0911 - one for each kind of atom
        character = self._next()
        if character in "^$":
            return Border(character)
        if character == ".":
            return Set(complement(characters.LINE_ENDS))
        if character == "[":
            return Set(self._class())
        if character == "(":
            return self._group()
        if character == "\\":
            if self._text[self._at] in "bB":
                return Border(self._next())
            return Set(self._escape())
        if character in "*+?{}]":
            raise UnsupportedPatternError(self._text)
        return Set(((ord(character), ord(character)),))

    def _group(self) -> Tree:
        ahead: bool | None = None
        if self._take("?="):
            ahead = True
        elif self._take("?!"):
            ahead = False
        elif self._take("?<"):
            if self._text[self._at] in "=!":
                raise UnsupportedPatternError(self._text)
            self._until(">")
        elif not self._take("?:") and self._text[self._at] == "?":
            raise UnsupportedPatternError(self._text)
        inner = self.choice()
        self._next()  # ")", since a choice ends there or at the end of the pattern
        return inner if ahead is None else Ahead(inner, ahead)

    def _escape(self) -> Characters:
        """Return the characters of an escape whose backslash was read."""
        character = self._next()
        if character.lower() in _CLASSES:
            found = _CLASSES[character.lower()]
            return found if character.islower() else complement(found)
        if character in "pP":
            return self._property(is_negated=character == "P")
        if character in _ESCAPED and not (character == "0" and self.rest[:1].isdigit()):
            code = _ESCAPED[character]
        elif character == "x":
            code = int(self._next() + self._next(), 16)
        elif character == "u":
            digits = (
                self._until("}") if self._take("{") else "".join(self._next() for _ in range(4))
            )
            code = int(digits, 16)
        elif character == "c":
            code = ord(self._next()) % 32
        elif character.isalnum():
            raise UnsupportedPatternError(self._text)
        else:
            code = ord(character)
        return union([(code, code)])

    def _property(self, *, is_negated: bool) -> Characters:
        if not self._take("{"):
            raise UnsupportedPatternError(self._text)
        name = self._until("}")
        for prefix in ("gc=", "General_Category="):
            name = name.removeprefix(prefix)
        name = _LONG_CATEGORIES.get(name, name)
        if name not in _CATEGORIES:
            raise UnsupportedPatternError(self._text)
        found = characters.category(name)
        return complement(found) if is_negated else found

    def _class(self) -> Characters:
        is_negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            first = self._member()
            if self._text[self._at] == "-" and self._text[self._at + 1] != "]":
                self._at += 1
                last = self._member()
                if not (_is_single(first) and _is_single(last)) or first[0] > last[0]:
                    raise UnsupportedPatternError(self._text)
                ranges.append((first[0][0], last[0][0]))
            else:
                ranges += first
        found = union(ranges)
        return complement(found) if is_negated else found

    def _member(self) -> Characters:
        character = self._next()
        if character != "\\":
            return ((ord(character), ord(character)),)
        if self._take("-"):
            return ((45, 45),)
        return self._escape()


def _is_single(found: Characters) -> bool:
    return len(found) == 1 and found[0][0] == found[0][1]

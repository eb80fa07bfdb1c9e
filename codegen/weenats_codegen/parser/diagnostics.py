"""Locations in the files of a contract, and the diagnostics reported for them."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_QUOTED_LENGTH: Final = 60
_MAX_NAMES: Final = 50
_POINTER_SAFE: Final = "/~!$&'()*+,;=:@?"


class Location(NamedTuple):
    """A place in a file of a contract.

    Attributes:
        file: The path as the user gave it, with forward slashes.
        pointer: The JSON pointer (RFC 6901); "" is the whole file.
    """

    file: str
    pointer: str = ""

    def child(self, *steps: str | int) -> Self:
        """Return the location of a nested value.

        Args:
            steps: The keys and indexes that lead to it.
        """
        pointer = self.pointer
        for step in steps:
            part = str(step).replace("~", "~0").replace("/", "~1")
            pointer = f"{pointer}/{part}"
        return type(self)(self.file, pointer)

    def __str__(self) -> str:
        """Return the file and, as a URI fragment, the pointer."""
        fragment = quote(self.pointer, safe=_POINTER_SAFE, errors="surrogatepass")
        return f"{self.file}#{fragment}" if fragment else self.file


class Diagnostic(NamedTuple):
    """One error in a contract.

    Attributes:
        location: The place of the error.
        message: What is wrong.
        remedy: How to fix it.
    """

    location: Location
    message: str
    remedy: str

    def __str__(self) -> str:
        """Return the diagnostic as one printable line."""
        # Messages quote the contract, which must not break the line or control the terminal.
        return escaped(f"{self.location}: {self.message}; {self.remedy}")


class ContractError(Exception):
    """One or more contracts are invalid.

    Attributes:
        diagnostics: Every error that was found, sorted and without duplicates.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Initialize the exception."""
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(set(diagnostics)))
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        """Return one line for each diagnostic."""
        return "\n".join(map(str, self.diagnostics))


def quoted(value: object) -> str:
    """Return a value of a contract for use in a message: quoted, printable and not too long."""
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _MAX_QUOTED_LENGTH else f"{text[: _MAX_QUOTED_LENGTH - 3]}..."


def did_you_mean(
    name: str, known: Iterable[str], otherwise: str | None = None, similarity: float = 0.6
) -> str:
    """Return a remedy for a name that does not exist: the most similar one.

    Args:
        name: What the user wrote.
        known: The names that exist.
        otherwise: The remedy if none of them is similar; by default the names that exist.
        similarity: How similar a name must be, 0 to 1.
    """
    names = sorted(set(known))
    if (close := closest(name, names, similarity)) is not None:
        return f"did you mean {close}?"
    if otherwise is not None:
        return otherwise
    if not names:
        return "there are none"
    rest = len(names) - _MAX_NAMES
    return f"known are {', '.join(names[:_MAX_NAMES])}{f' and {rest} more' if rest > 0 else ''}"


def escaped(text: str, keep: str = "") -> str:
    """Return text whose characters that are not printable are escaped, as JSON escapes them.

    These are control characters, those that change the direction of text or take no place, line
    separators, and spaces other than the usual one: a terminal would obey or hide them.

    Args:
        text: The text; JSON remains the same JSON.
        keep: Characters that remain.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else json.dumps(each)[1:-1] for each in text
    )


def closest(name: str, known: Iterable[str], similarity: float = 0.6) -> str | None:
    """Return the most similar of some names, None if none is similar enough.

    Upper and lower case do not matter, and of `order.get` the part behind the dot is enough.

    Args:
        name: What the user wrote.
        known: The names that exist.
        similarity: How similar a name must be, 0 to 1.
    """
    names = sorted(set(known), reverse=True)
    parts = {each.rpartition(".")[2].casefold(): each for each in names}
    folded = parts | {each.casefold(): each for each in names}
    close = get_close_matches(name.casefold(), sorted(folded), n=1, cutoff=similarity)
    return folded[close[0]] if close else None

"""What is wrong with a contract, said so that its author can mend it: where, what, what to do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUOTED_LENGTH: Final = 60
_POINTER_SAFE: Final = "/~!$&'()*+,;=:@?"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with a contract.

    Attributes:
        file: The path as the user gave it, posix style.
        pointer: The JSON pointer of the place; "" is the whole file.
        message: What is wrong.
        remedy: What to do.
    """

    file: str
    pointer: str
    message: str
    remedy: str

    def __str__(self) -> str:
        """Return the problem as one printable line."""
        # Messages quote contracts, and no contract may break the line or talk to the terminal.
        return "".join(map(_visible, f"{self.place}: {self.message}; {self.remedy}"))

    @property
    def place(self) -> str:
        """The file and, as a URI fragment, the pointer."""
        fragment = quote(self.pointer, safe=_POINTER_SAFE, errors="surrogatepass")
        return f"{self.file}#{fragment}" if fragment else self.file


class ContractError(Exception):
    """A contract, or several, that cannot be used; it holds every problem at once."""

    problems: tuple[Problem, ...]

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Hold the problems, sorted and each once."""
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def _visible(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


def shown(value: object) -> str:
    """Return text of a contract as it may stand in a message: quoted, printable, not too long."""
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _QUOTED_LENGTH else f"{text[: _QUOTED_LENGTH - 3]}..."


def joined(pointer: str, *steps: str | int) -> str:
    """Return a JSON pointer with steps added to it (RFC 6901)."""
    parts = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "".join((pointer, *(f"/{part}" for part in parts)))

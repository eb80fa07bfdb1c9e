"""Results on standard output: drawn for a person, or one JSON document for a program."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def emit(value: object, *, as_json: bool, person: Callable[[], "RenderableType"]) -> None:
    """Show a result; `person` draws it, and is called for people only."""
    if as_json:
        json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        console().print(person())


def warn(line: str) -> None:
    """Tell on standard error what a person should know of and what fails nothing."""
    sys.stderr.write(f"weenats: {one_line(line)}\n")


def one_line(text: str) -> str:
    """Printable text: what came from elsewhere may hold line breaks, or more."""
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))


def console() -> "Console":
    """The terminal, or whatever stands in for one: colours only where they can be seen."""
    from rich.console import Console

    return Console(highlight=False)


def plain(text: str) -> str:
    """Text of somebody else as it may stand in our own: no markup, nothing a terminal obeys."""
    from rich.markup import escape

    return escape("".join(char if char.isprintable() else "\ufffd" for char in text))


def milliseconds(nanoseconds: int) -> str:
    """A duration as statistics count it, for people."""
    return f"{nanoseconds / 1e6:.2f} ms"

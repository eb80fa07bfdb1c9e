"""Results on standard output: formatted for people, or one JSON document for programs."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def emit(value: object, *, as_json: bool, render: Callable[[], "RenderableType"]) -> None:
    """Print a result.

    Args:
        value: The result, as JSON.
        as_json: Whether to print it as JSON.
        render: Returns the result for people; it is not called for JSON.
    """
    if as_json:
        json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        console().print(render())


def warn(line: str) -> None:
    """Print a warning or an error on standard error."""
    sys.stderr.write(f"weenats: {one_line(line)}\n")


def one_line(text: str) -> str:
    """Return text on one line and without characters that are not printable."""
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))


def console() -> "Console":
    """Return the terminal; it has colors only if standard output is a terminal."""
    from rich.console import Console

    return Console(highlight=False)


def plain(text: str) -> str:
    """Return untrusted text for use in rich markup: no markup, no control characters."""
    from rich.markup import escape

    return escape("".join(char if char.isprintable() else "\ufffd" for char in text))


def milliseconds(nanoseconds: int) -> str:
    """Return a duration in milliseconds for people."""
    return f"{nanoseconds / 1e6:.2f} ms"

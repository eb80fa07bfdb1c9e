"""Results on standard output: formatted for people, or one JSON document for programs.

Whatever is printed passes here, so that text of other parties cannot control the terminal.
"""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from weenats_codegen.parser.diagnostics import escaped

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
        write(f"{json.dumps(value, indent=2, ensure_ascii=False)}\n")
    else:
        console().print(render())


def write(text: str) -> None:
    """Print lines on standard output, at once; what is not printable is escaped."""
    sys.stdout.write(escaped(text, keep="\n\t"))
    sys.stdout.flush()


def warn(line: str) -> None:
    """Print a warning or an error on standard error."""
    sys.stderr.write(f"weenats: {one_line(line)}\n")


def one_line(text: str) -> str:
    """Return text on one line; what is not printable is escaped."""
    return escaped(" ".join(text.split()))


def console() -> "Console":
    """Return the terminal; it has colors only if standard output is a terminal."""
    from weenats_codegen.cli.terminal import Terminal

    return Terminal(highlight=False)


def plain(text: str) -> str:
    """Return untrusted text for use in rich markup: no markup, nothing that is not printable."""
    from rich.markup import escape

    return escape(escaped(text))


def milliseconds(nanoseconds: int) -> str:
    """Return a duration in milliseconds for people."""
    return f"{nanoseconds / 1e6:.2f} ms"

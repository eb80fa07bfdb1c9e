"""Results on standard output: formatted for people, or one JSON document for programs.

Whatever is printed passes here, so that text of other parties cannot control the terminal.
"""

import io
import json
import logging
import os
import secrets
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats_codegen.parser.diagnostics import escaped

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_LONGEST_LINE: Final = 2000
"""Characters of a warning or an error that are shown."""
_PIPED_WIDTH: Final = 10_000
"""Characters of a line that is not shown on a terminal: ids and names are not broken there."""
_LONGEST_CELL: Final = 1000
"""Characters of a name or a message that are shown in a table."""
MAX_ROWS: Final = 1000
"""Operations, or health checks, of one instance that are shown in a table."""
CANNOT_WRITE: Final = "cannot write to standard output"
_MAX_COLORED: Final = 50_000
"""Characters of JSON that are shown in colors; more would take seconds."""


def prepare_streams() -> None:
    """Make standard output and standard error accept any text.

    Characters that their encoding does not have are escaped. A stream that was closed before the
    program started discards what is written to it.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end of the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> OSError | None:
    """Write what is buffered for standard output.

    Returns:
        Why it cannot be written; the rest of the output is then discarded.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        discard()
        return error
    except (AttributeError, ValueError):  # code of the user has closed or removed it
        pass
    return None


def discard() -> None:
    """Discard further output, for example because the reader of a pipe is gone."""
    with suppress(OSError, ValueError):  # it is not a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def output_named() -> Generator[None]:
    """Name standard output in errors of writing to it: the system gives them no file name.

    What is buffered is discarded then, or it would fail once more at the end.

    Raises:
        OSError: It cannot be written.
    """
    try:
        yield
    except BrokenPipeError:  # its reader has seen enough
        raise
    except OSError as error:
        discard()
        raise OSError(error.errno, error.strerror, CANNOT_WRITE) from None


@contextmanager
def output_optional() -> Generator[None]:
    """Warn if standard output cannot be written, such as on a full disk, and go on without it."""
    try:
        yield
    except OSError as error:
        discard()  # also after the reader of a pipe is gone
        warn(f"{CANNOT_WRITE}: {error.strerror or 'it is closed'}")


def emit(value: object, *, as_json: bool, render: Callable[[], "RenderableType"]) -> None:
    """Print a result.

    Args:
        value: The result, as JSON.
        as_json: Whether to print it as JSON.
        render: Returns the result for people; it is not called for JSON.
    """
    if as_json:
        write(f"{shown_json(value, indent=2)}\n")
        return
    console().print(render())


def emit_value(value: object) -> None:
    """Print JSON for people, in colors if it is short and standard output is a terminal.

    Args:
        value: The value, as JSON.
    """
    text = shown_json(value, indent=2)
    if sys.stdout.isatty() and len(text) <= _MAX_COLORED:
        from rich.highlighter import JSONHighlighter
        from rich.text import Text

        colored = Text(text)
        JSONHighlighter().highlight(colored)
        console().print(colored, soft_wrap=True)
    else:
        write(f"{text}\n")


def emit_line(value: object) -> None:
    """Print a result as one JSON document on a line of its own, at once.

    Args:
        value: The result, as JSON.
    """
    write(f"{shown_json(value)}\n")


def shown_json(value: object, indent: int | None = None) -> str:
    """Return JSON that the encoding of standard output can carry; NaN and infinities are null.

    Args:
        value: The value, as JSON.
        indent: Spaces for each level; None for one line.
    """
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    try:
        return json_text(value, indent, is_unicode=is_unicode)
    except ValueError:
        from pydantic_core import from_json, to_json

        finite = from_json(to_json(value, inf_nan_mode="null"))
        return json.dumps(finite, indent=indent, ensure_ascii=not is_unicode)


def json_text(value: object, indent: int | None = None, *, is_unicode: bool = True) -> str:
    """Return JSON text, in which decimals are numbers with all their digits.

    Args:
        value: The value, as JSON.
        indent: Spaces for each level; None for one line.
        is_unicode: Whether characters outside ASCII are written as they are.

    Raises:
        ValueError: It has NaN or an infinity.
    """
    decimals: list[Decimal] = []
    mark = secrets.token_hex(16)

    def marked(part: object) -> str:
        if not isinstance(part, Decimal):
            raise TypeError(f"a value of the type {type(part).__name__} is not JSON")
        decimals.append(part)
        return mark

    text = json.dumps(
        value, indent=indent, ensure_ascii=not is_unicode, allow_nan=False, default=marked
    )
    first, *others = text.split(f'"{mark}"')
    return first + "".join(f"{part}{rest}" for part, rest in zip(decimals, others, strict=True))


def write(text: str) -> None:
    """Print lines on standard output, at once; what is not printable is escaped."""
    # Line by line, since most lines have nothing to escape, which is fast to tell.
    shown = "\n".join(escaped(line, keep="\t") for line in text.split("\n"))
    with output_named():
        sys.stdout.write(shown)
        sys.stdout.flush()


def warn(line: str) -> None:
    """Print a warning or an error on standard error."""
    # There is no other way to report it. Code of the user may have closed or removed it.
    with suppress(OSError, AttributeError, ValueError):
        sys.stderr.write(f"weenats: {one_line(line)}\n")


class WarningLog(logging.Handler):
    """Prints the warnings of the runtime as those of the command: one line, no traceback."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


def one_line(text: str) -> str:
    """Return text on one line; what is not printable is escaped, and a long one is shortened."""
    return shortened(escaped(" ".join(text.split())))


def shortened(line: str) -> str:
    """Return a line without its middle if it is long: a remedy is often at its end."""
    if len(line) <= _LONGEST_LINE:
        return line
    half = _LONGEST_LINE // 2
    return f"{line[:half]}...{line[-half:]}"


def console(*, piped_width: int = _PIPED_WIDTH) -> "Console":
    """Return the terminal; it has colors only if standard output is a terminal.

    Args:
        piped_width: Its width if standard output is no terminal and COLUMNS is not set.
    """
    from weenats_codegen.cli.terminal import Terminal

    terminal = Terminal(highlight=False)
    if not terminal.is_terminal and "COLUMNS" not in os.environ:
        terminal.width = piped_width
    return terminal


def plain(text: str) -> str:
    """Return untrusted text for use in rich markup: no markup, nothing that is not printable."""
    from rich.markup import escape

    return escape(escaped(text))


def brief(text: str) -> str:
    """Return untrusted text for a cell of a table: as `plain` does, of a bounded length.

    A table is laid out character by character: a name of a megabyte would take half a minute.
    """
    return plain(text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}...")


def more(rows: int) -> str:
    """Return the line of a table that stands for the rows beyond MAX_ROWS, "" if there are none."""
    return "" if rows <= MAX_ROWS else f"  ... and {rows - MAX_ROWS} more, which --json shows"


def milliseconds(nanoseconds: int) -> str:
    """Return a duration in milliseconds for people."""
    return f"{nanoseconds / 1e6:.2f} ms"

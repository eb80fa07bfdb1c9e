"""What a user reads when a command fails: one line for each error."""

import os
import traceback
from pathlib import Path

from weenats_codegen.cli.locations import location, user_location
from weenats_codegen.cli.output import one_line
from weenats_codegen.parser.diagnostics import ContractError

_EXTRAS = {
    **dict.fromkeys(("typer", "rich"), "cli"),
    **dict.fromkeys(("datamodel_code_generator", "jinja2", "ruff", "yaml"), "codegen"),
}
"""The extra that installs each module."""


class CliError(Exception):
    """A command cannot do what was requested; the text says why and what to do."""


def said_by(error: BaseException) -> str:
    """Return what an exception says, "" if it cannot: its `__str__` may be code of the user."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - whatever it raises
        return ""


def describe(error: Exception) -> list[str]:
    """Return the lines to print for an error."""
    if isinstance(error, ContractError):
        return [str(diagnostic) for diagnostic in error.diagnostics]
    if isinstance(error, ModuleNotFoundError):
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra:
            return [f"this needs the extra `{extra}`: pip install 'weenats[{extra}]'"]
    # The errors of the runtime, without importing it.
    kinds = type(error).__mro__
    is_runtime_error = any(kind.__module__.startswith("weenats.") for kind in kinds)
    if isinstance(error, CliError | OSError) or is_runtime_error:
        return [one_line(_text(error)) or type(error).__name__]
    if os.environ.get("WEENATS_TRACEBACK"):
        return [line for part in traceback.format_exception(error) for line in part.splitlines()]
    if where := user_location(error):
        said = said_by(error)
        return [f"{type(error).__name__}{said and f': {said}'} ({where})"]
    # Its text is left out, since it may have values of payloads.
    name, where = type(error).__name__, location(error)
    text = f"unexpected {name} at {where}, a bug; WEENATS_TRACEBACK=1 shows its traceback"
    if os.environ.get("_WEENATS_COMPLETE"):
        text = "_WEENATS_COMPLETE is only for the completion of a shell: unset it"
    return [text]


def _text(error: Exception) -> str:
    """Return what an error says; without the number with which that of a file begins."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    file = None if error.filename is None else str(error.filename)
    if not Path(file or "").is_absolute() and not _has_folder():
        return "the working directory does not exist any more: change to another one"
    return error.strerror if file is None else f"{file}: {error.strerror}"


def _has_folder() -> bool:
    """Return whether there is a working directory."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True

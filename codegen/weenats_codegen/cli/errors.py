"""What a user reads when a command fails: one line for each error."""

from weenats_codegen.cli.output import one_line
from weenats_codegen.parser.diagnostics import ContractError

_EXTRAS = {
    **dict.fromkeys(("typer", "rich"), "cli"),
    **dict.fromkeys(
        ("datamodel_code_generator", "jinja2", "jsonschema", "referencing", "ruff", "yaml"),
        "codegen",
    ),
}
"""The extra that installs each module."""


class CliError(Exception):
    """A command cannot do what was requested; the text says why and what to do."""


def describe(error: Exception) -> list[str]:
    """Return the lines to print for an error, none if it is a bug in weenats itself."""
    if isinstance(error, ContractError):
        return [str(diagnostic) for diagnostic in error.diagnostics]
    if isinstance(error, ModuleNotFoundError):
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        install = f"pip install 'weenats[{extra}]'"
        return [f"this needs the extra `{extra}`: {install}"] if extra else []
    # The errors of the runtime, without importing it.
    kinds = type(error).__mro__
    is_runtime_error = any(kind.__module__.startswith("weenats.") for kind in kinds)
    expected = isinstance(error, CliError | OSError) or is_runtime_error
    return [one_line(str(error))] if expected else []

"""What a person reads when a verb fails: one clear line for each problem."""

from weenats_codegen.cli.output import one_line
from weenats_codegen.parser.diagnostics import ContractError

EXTRAS = {
    "typer": "cli",
    "rich": "cli",
    "datamodel_code_generator": "codegen",
    "jinja2": "codegen",
    "jsonschema": "codegen",
    "referencing": "codegen",
    "ruff": "codegen",
    "yaml": "codegen",
}
"""Which extra brings which module."""


class VerbError(Exception):
    """A verb cannot do what it was asked for; the text says why and what to do."""


def describe(error: Exception) -> list[str]:
    """The lines to show for an error; none for a defect of weenats itself."""
    if isinstance(error, ContractError):
        return [str(problem) for problem in error.problems]
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    if isinstance(error, VerbError | OSError) or _is_runtime_error(error):
        return [one_line(str(error))]
    return []


def _missing(error: ModuleNotFoundError) -> list[str]:
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    if extra is None:
        return []
    return [f"this needs the extra `{extra}`: pip install 'weenats[{extra}]'"]


def _is_runtime_error(error: Exception) -> bool:
    """Whether it is one of the runtime's; asked without importing the runtime."""
    return any(kind.__module__.startswith("weenats.") for kind in type(error).__mro__)

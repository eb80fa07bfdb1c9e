"""Optional dependencies."""

from __future__ import annotations

from importlib.util import find_spec


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the text says which extra installs it."""


def check_installed(message: str, *modules: str) -> None:
    """Check that the modules of an optional dependency can be imported.

    Args:
        message: the text of the error.
        modules: the names of the modules.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    try:
        missing = any(find_spec(module) is None for module in modules)
    except (ModuleNotFoundError, ValueError):  # a parent is missing, or is None in sys.modules
        missing = True
    if missing:
        raise MissingExtraError(message)

"""Optional dependencies."""

from __future__ import annotations

from importlib.util import find_spec


def check_installed(message: str, *modules: str) -> None:
    """Check that the modules of an optional dependency can be imported.

    Args:
        message: the text of the error.
        modules: the names of the modules.

    Raises:
        ImportError: one of them is not installed.
    """
    try:
        missing = any(find_spec(module) is None for module in modules)
    except (ModuleNotFoundError, ValueError):  # a parent is missing, or is None in sys.modules
        missing = True
    if missing:
        raise ImportError(message)

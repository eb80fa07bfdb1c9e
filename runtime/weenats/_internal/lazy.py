"""Exports of packages that are imported when they are used first."""

from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["lazy_exports"]


def lazy_exports(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package whose exports are imported when used.

    The package imports the same names for type checkers, which do not see this, and has them in
    `__all__`. It is for packages that export what many of their users do not need: so a client does
    not import what only services use.

    Args:
        package: the name of the package.
        homes: the modules, and the names that are imported from each, separated by white space.
            Modules of the package are its attributes too.
    """
    modules = {name: module for module, names in homes.items() for name in names.split()}
    prefix = f"{package}."
    parts = {module.removeprefix(prefix).partition(".")[0] for module in homes}

    def get(name: str) -> object:
        if name in modules:
            value = getattr(import_module(modules[name]), name)
            vars(import_module(package))[name] = value
            return value
        if name in parts:
            return import_module(prefix + name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, lambda: sorted({*vars(import_module(package)), *modules, *parts})

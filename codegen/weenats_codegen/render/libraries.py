"""A library -> the files of its package; and how other packages use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from weenats_codegen.naming import constant_name
from weenats_codegen.render.environment import environment, shown_path
from weenats_codegen.render.models import DEPRECATED, deprecated_classes, render_models
from weenats_codegen.reserved import MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from weenats_codegen.ir.bundle import Bundle, External
    from weenats_codegen.ir.library import Library


class Used(NamedTuple):
    """A library that a package uses.

    Attributes:
        library: The library.
        constant: Its name in the package.
        digests: The digests of the schemas that the package uses.
    """

    library: Library
    constant: str
    digests: dict[str, str]


def render_libraries(libraries: Iterable[Library]) -> dict[str, str]:
    """Return the files of the packages of libraries by relative path, not formatted yet."""
    return {
        f"{library.package}/{name}": text
        for library in libraries
        for name, text in _render(library).items()
    }


def render_copies(libraries: Iterable[Library]) -> dict[str, str]:
    """Return copies of libraries for a package that has them inside.

    Args:
        libraries: The libraries that it uses, those that they use included.

    Returns:
        The files by relative path, not formatted yet.
    """
    files: dict[str, str] = {}
    for library in libraries:
        rendered = _render(library, is_copy=True)
        files |= {f"libraries/{library.package}/{name}": text for name, text in rendered.items()}
    if files:
        title = '"""Copies of the libraries that the contract shares with others."""'
        files["libraries/__init__.py"] = f"{MARK}libraries. Do not edit.\n{title}\n"
    return files


def prefixed(shared: Mapping[str, External], prefix: str) -> dict[str, External]:
    """Return the models of libraries as they are imported from somewhere else.

    Args:
        shared: The models, by the names that they have in a package.
        prefix: What is before the name of each library's package.
    """
    return {
        name: origin._replace(package=f"{prefix}{origin.package}")
        for name, origin in shared.items()
    }


def _render(library: Library, *, is_copy: bool = False) -> dict[str, str]:
    """Return the files of a library's package by name."""
    header = f"{MARK}{shown_path(library.path, library.package)}. Do not edit."
    if deprecated_classes(library.shapes.definitions):
        header += f"\n{DEPRECATED}"
    shapes = library.shapes
    shared = prefixed(shapes.shared, ".." if is_copy else "")
    models = render_models(shapes.definitions, shared=shared, exported=library.models)
    checks: dict[str, str] = {}
    if not is_copy:
        checks = render_checks(library.package, library.bundle, library.libraries, header)
    values = {
        "header": header,
        "package": library.package,
        "models": library.models,
        "digests": library.digests,
        "checks": checks,
    }
    modules = ("__init__.py",) if is_copy else ("__init__.py", "library.py")
    files = {
        name: environment().get_template(f"library/{name}.jinja").render(values) for name in modules
    }
    title = f'"""The models of the library {library.package}, generated from its schemas."""'
    return {**files, **checks, "models.py": f"{header}\n{title}\n\n{models}", "py.typed": ""}


def render_checks(
    package: str, bundle: Bundle, libraries: Iterable[Library], header: str
) -> dict[str, str]:
    """Return the module that checks the libraries of a package, nothing if it uses none.

    Args:
        package: The package.
        bundle: Its schemas.
        libraries: The libraries that it uses.
        header: The first line, a comment.
    """
    used = list(_used(bundle.shared, libraries))
    if not used:
        return {}
    values = {"header": header, "package": package, "libraries": used}
    return {"libraries.py": environment().get_template("libraries.py.jinja").render(values)}


def _used(shared: Mapping[str, External], libraries: Iterable[Library]) -> Iterable[Used]:
    for library in libraries:
        package = library.package
        names = sorted(origin.name for origin in shared.values() if origin.package == package)
        if names:
            digests = {name: library.digests[name] for name in names}
            yield Used(library, constant_name(library.package), digests)

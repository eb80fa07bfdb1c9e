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


def render_library(library: Library) -> dict[str, str]:
    """Return the files of the library's package by name, not formatted yet."""
    header = f"{MARK}{shown_path(library.path, library.package)}. Do not edit."
    if deprecated_classes(library.shapes.definitions):
        header += f"\n{DEPRECATED}"
    shapes = library.shapes
    models = render_models(shapes.definitions, shared=shapes.shared, exported=library.models)
    checks = render_checks(library.package, library.bundle, library.libraries, header)
    values = {
        "header": header,
        "package": library.package,
        "models": library.models,
        "digests": library.digests,
        "checks": checks,
    }
    files = {
        name: environment().get_template(f"library/{name}.jinja").render(values)
        for name in ("__init__.py", "library.py")
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

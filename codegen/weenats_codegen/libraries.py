"""The libraries of a root folder -> the IR, or every error in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from weenats_codegen import naming, reserved
from weenats_codegen.ir.bundler import bundle_library
from weenats_codegen.ir.library import Library, shared_shapes, with_inner
from weenats_codegen.ir.shapes import shape
from weenats_codegen.lint.schemas import check_schema
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location
from weenats_codegen.parser.dialects import Ref, translated
from weenats_codegen.parser.library_source import LibrarySource, load_library
from weenats_codegen.render.models import with_models

_SPLIT: Final = "move what both need into a library of its own"


class Libraries:
    """The libraries below a root folder; each is read when it is first asked for.

    Attributes:
        root: The folder that holds the contracts and the libraries.
    """

    def __init__(self, root: Path) -> None:
        """Initialize.

        Args:
            root: The folder that holds the contracts and the libraries.
        """
        self.root: Final = root
        self._found: Final[dict[str, Library]] = {}
        self._errors: Final[dict[str, ContractError]] = {}
        self._loading: Final[list[str]] = []
        self._uses: Final[dict[str, dict[str, Location]]] = {}

    def get(self, folder: str) -> Library:
        """Return the library in a folder.

        Args:
            folder: The folder, relative to the root folder.

        Raises:
            ContractError: The library is invalid.
        """
        if folder not in self._found and folder not in self._errors:
            self._loading.append(folder)
            try:
                self._found[folder] = self._load(folder)
            except ContractError as error:
                self._errors[folder] = error
            finally:
                self._loading.pop()
        if folder in self._errors:
            raise self._errors[folder]
        return self._found[folder]

    def used(self, packages: Sequence[str]) -> tuple[Library, ...]:
        """Return the libraries with some packages, and those that they use.

        Args:
            packages: Packages of libraries that were read.
        """
        found = [library for library in self._found.values() if library.package in packages]
        return with_inner(found)

    def _load(self, folder: str) -> Library:
        source = load_library(folder, self.root)
        self._uses[folder] = _uses(source)
        circles = [self._circle(other) for other in self._uses[folder] if other in self._loading]
        if circles:
            raise ContractError(circles)
        diagnostics: list[Diagnostic] = []
        for other in self._uses[folder]:
            try:
                self.get(other)
            except ContractError as error:
                diagnostics += error.diagnostics
        if diagnostics:
            raise ContractError(diagnostics)
        return self._built(source)

    def _built(self, source: LibrarySource) -> Library:
        bundle, variants = bundle_library(source, self.get)
        package = naming.package_name(source.folder)
        path = (self.root / source.folder).as_posix()
        diagnostics = [*source.resources.diagnostics, *bundle.diagnostics]
        for place in source.resources.schemas:
            diagnostics += check_schema(place)
        for other in self._found.values():
            if other.package == package:
                message = f"has the same Python package {package} as {other.path}"
                remedy = "rename one of the folders"
                diagnostics.append(Diagnostic(Location(path), message, remedy))
        if reserved.is_package(package):
            message = f"the Python package would be {package}, which is the name of another package"
            remedy = f"rename the folder, for example to {source.folder}-schemas"
            diagnostics.append(Diagnostic(Location(path), message, remedy))
        if diagnostics:
            raise ContractError(diagnostics)
        libraries = self.used([origin.package for origin in bundle.external.values()])
        shapes = with_models(
            shape(
                bundle.definitions,
                [name for name in bundle.definitions if name not in bundle.external],
                taken=reserved.classes(),
                shared=shared_shapes(bundle, libraries),
            )
        )
        return Library(path, package, bundle, shapes, variants, libraries)

    def _circle(self, folder: str) -> Diagnostic:
        """Return the diagnostic of libraries that use one another, the same for each of them."""
        circle = self._loading[self._loading.index(folder) :]
        at = circle.index(min(circle))
        circle = [*circle[at:], *circle[:at]]
        names = " -> ".join([*circle, circle[0]])
        following = circle[1] if len(circle) > 1 else circle[0]
        location = self._uses[circle[0]][following]
        return Diagnostic(location, f"makes a circle of libraries: {names}", _SPLIT)


def _uses(source: LibrarySource) -> dict[str, Location]:
    """Return the other libraries that a library refers to, and the first place of each."""
    resources = source.resources
    found: dict[str, Location] = {}
    for place in list(resources.schemas):
        if not place.node.mapping:
            continue
        ref = translated(place.node, place.context.dialect).get("$ref")
        if not isinstance(ref, Ref):
            continue
        try:
            owner = resources.owner(resources.resolve(place.context, ref).context.resource)
        except ContractError:  # the bundler reports it
            continue
        if owner is not None and owner != resources.own:
            found[owner.folder] = min(found.get(owner.folder, ref.location), ref.location)
    return dict(sorted(found.items()))

"""A contract folder -> its service.yaml and the schemas that it uses.

Beside it are the libraries that it may use. Nothing outside these folders is opened, whether by
`..`, by a link or by a URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location
from weenats_codegen.parser.dialects import is_definition
from weenats_codegen.parser.folders import contract_files
from weenats_codegen.parser.reader import Reader
from weenats_codegen.parser.resources import Resources
from weenats_codegen.parser.walk import contract_schemas

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from weenats_codegen.parser.resources import Place
    from weenats_codegen.parser.walk import Node

_IDENTIFIERS: Final = frozenset({"$id", "$anchor", "$dynamicAnchor"})
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_START: Final = "begin with `weenats new NAME`"


@dataclass(frozen=True, slots=True)
class Source:
    """A contract as it is written.

    Attributes:
        root: The content of service.yaml (or .yml, .json).
        resources: Its schemas, and those of the files that they refer to.
    """

    root: Node
    resources: Resources


def load(folder: Path, root: Path | None = None) -> Source:
    """Read the service.yaml of a contract; the files it refers to are read when they are resolved.

    Args:
        folder: The contract's folder.
        root: The folder that holds the contract and libraries, which references may not leave. By
            default they may not leave that of the contract.

    Raises:
        ContractError: It has no service.yaml, several, or one that cannot be read at all.
    """
    names = contract_files(folder)
    if not names:
        raise ContractError([_no_contract(folder)])
    if len(names) > 1:
        location = Location((folder / names[0]).as_posix())
        message = f"exists together with {' and '.join(names[1:])}"
        raise ContractError([Diagnostic(location, message, "keep one of them")])
    reader = Reader(folder, root)
    relative = reader.own(names[0])
    location = Location(reader.path(relative))
    refusal = reader.refusal(relative)
    if refusal is not None:
        raise ContractError([Diagnostic(location, *refusal)])
    content = reader.read(relative)
    if content is None:
        raise ContractError(reader.diagnostics[location.file])
    resources = Resources(reader)
    resources.add_contract(content, contract_schemas(content))
    return Source(content, resources)


@dataclass(frozen=True, slots=True)
class LibrarySource:
    """A library as it is written.

    Attributes:
        folder: Its folder, relative to the root folder.
        resources: The schemas of all its files, and those of the files that they refer to.
        schemas: The schemas that have a name: files, and entries of `$defs`.
    """

    folder: str
    resources: Resources
    schemas: tuple[Place, ...]


def load_library(folder: str, root: Path) -> LibrarySource:
    """Read all files of a library; those of other libraries are read when they are referred to.

    Args:
        folder: The library's folder, relative to the root folder.
        root: The folder that holds it.
    """
    reader = Reader(root / folder, root)
    resources = Resources(reader)
    for relative in reader.own_files():
        resources.add_file(relative)
    schemas = tuple(place for place in resources.schemas if _has_name(place))
    # Other files, such as examples, are none of its schemas unless a reference leads to them.
    resources.used.intersection_update(
        file
        for file in resources.used
        if file not in reader.files or any(each.node.location.file == file for each in schemas)
    )
    return LibrarySource(folder, resources, schemas)


def root_of(folder: Path) -> Path:
    """Return the folder that holds a contract's folder."""
    return folder / ".." if folder.name in {"", ".."} else folder.parent


def _has_name(place: Place) -> bool:
    """Return whether a schema of a library is a file, an entry of `$defs`, or has an identifier."""
    pointer = place.node.location.pointer
    if is_definition(pointer):
        return True
    schema = place.node.mapping
    is_schema = bool(pointer) or not schema.keys().isdisjoint(place.context.dialect.keywords)
    has_identifier = not pointer or not schema.keys().isdisjoint(_IDENTIFIERS)
    return has_identifier and (is_schema or not schema.keys().isdisjoint(_REFERENCES))


def find_contracts(paths: Sequence[Path]) -> list[Path]:
    """Return the contract folders among some folders and directly below them, each once.

    Raises:
        ContractError: A path is not a folder, or contains no contract.
    """
    found: dict[Path, Path] = {}
    diagnostics: list[Diagnostic] = []
    for path in paths:
        inner = [each for each in _folders(path) if contract_files(each)]
        folders = [path] if contract_files(path) else inner
        if not folders:
            diagnostics.append(_no_contract(path))
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    if diagnostics:
        raise ContractError(diagnostics)
    return list(found.values())


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(entry for entry in path.iterdir() if entry.is_dir())
    except OSError:
        return []


def _no_contract(path: Path) -> Diagnostic:
    if path.is_dir():
        message, remedy = "contains no contract", f"put a service.yaml there, or {_START}"
    elif path.exists():
        message, remedy = "is not a readable folder", "use a folder that contains a service.yaml"
    else:
        message, remedy = (
            "does not exist",
            f"use a folder that contains a service.yaml, or {_START}",
        )
    return Diagnostic(Location(path.as_posix()), message, remedy)

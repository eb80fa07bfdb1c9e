"""A contract folder -> its service.yaml and the schemas that it uses.

Beside it are the libraries that it may use. Nothing outside these folders is opened, whether by
`..`, by a link or by a URL.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location, closest
from weenats_codegen.parser.folders import contract_files
from weenats_codegen.parser.pages import expand_pages
from weenats_codegen.parser.reader import Reader
from weenats_codegen.parser.resources import Resources
from weenats_codegen.parser.walk import contract_schemas

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from weenats_codegen.parser.walk import Node

_MAX_SHOWN: Final = 5
_SCHEMAS: Final = "schemas"
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_START: Final = "begin with `weenats new NAME`"


@dataclass(frozen=True, slots=True)
class Source:
    """A contract as it is written.

    Attributes:
        root: The content of service.yaml (or .yml, .json), with the schemas of list queries.
        resources: Its schemas, and those of the files that they refer to.
        diagnostics: What is wrong with list queries.
    """

    root: Node
    resources: Resources
    diagnostics: tuple[Diagnostic, ...] = ()


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
        raise ContractError(_closed(folder) or [_no_contract(folder)])
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
    content, diagnostics = expand_pages(content)
    resources = Resources(reader)
    resources.add_contract(content, contract_schemas(content))
    return Source(content, resources, tuple(diagnostics))


def root_of(folder: Path) -> Path:
    """Return the folder that holds a contract's folder."""
    return folder / ".." if folder.name in {"", ".."} else folder.parent


def find_contracts(paths: Sequence[Path]) -> list[Path]:
    """Return the contract folders among some folders and directly below them, each once.

    Raises:
        ContractError: A path is not a readable folder, or contains no contract.
    """
    found: dict[Path, Path] = {}
    diagnostics: list[Diagnostic] = []
    for path in paths:
        inner = [each for each in _folders(path) if contract_files(each)]
        folders = [path] if contract_files(path) else inner
        closed = [] if folders == [path] else _closed(path)
        diagnostics += closed
        if not folders and not closed:
            diagnostics.append(_no_contract(path))
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    if diagnostics:
        raise ContractError(diagnostics)
    return list(found.values())


def _folders(path: Path) -> list[Path]:
    return [entry for entry in _entries(path) if entry.is_dir()]


def _entries(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def _closed(path: Path) -> list[Diagnostic]:
    """Return what is wrong with folders whose contracts cannot be seen.

    Their packages would be removed. Editors lock files with hidden links to nothing.
    """
    closed = [
        Diagnostic(Location(each.as_posix()), "is not readable", "permit reading and entering it")
        for each in (path, *_folders(path))
        if each.is_dir() and not os.access(each, os.R_OK | os.X_OK)
    ]
    remedy = "restore what it leads to, or remove it"
    return closed + [
        Diagnostic(Location(each.as_posix()), "is a link that leads nowhere", remedy)
        for each in (path, *_entries(path))
        if each.is_symlink() and not each.exists() and not each.name.startswith(".")
    ]


def _no_contract(path: Path) -> Diagnostic:
    if inner := [each.as_posix() for each in _folders(path) if contract_files(each)]:
        message = "is a folder of contracts"
        remedy = f"use one of them: {', '.join(inner[:_MAX_SHOWN])}"
    elif path.is_dir():
        message, remedy = "contains no contract", f"put a service.yaml there, or {_START}"
    elif path.exists():
        message, remedy = "is not a readable folder", "use a folder that contains a service.yaml"
        if contract_files(path.parent):
            remedy = f"use {path.parent.as_posix()}"
    else:
        message, remedy = (
            "does not exist",
            f"use a folder that contains a service.yaml, or {_START}",
        )
        if (meant := _meant(path)) is not None:
            remedy = f"did you mean {meant.as_posix()}?"
    return Diagnostic(Location(path.as_posix()), message, remedy)


def _meant(path: Path) -> Path | None:
    """Return the folder of contracts that a user may mean by one that does not exist."""
    if path.suffix in _SUFFIXES:  # the file instead of its folder
        path = path.parent
    if contract_files(path):
        return path
    for folder in (path.parent, path.parent / _SCHEMAS, path.parent.parent / _SCHEMAS):
        known = [each.name for each in _folders(folder) if _holds_contracts(each)]
        if (name := closest(path.name, known)) is not None:
            return folder / name
    return None


def _holds_contracts(folder: Path) -> bool:
    return bool(contract_files(folder) or any(map(contract_files, _folders(folder))))

"""A contract folder -> its service.yaml and the schemas that it uses.

Nothing outside the folder is opened, whether by `..`, by a link or by a URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location
from weenats_codegen.parser.reader import Reader
from weenats_codegen.parser.resources import Resources
from weenats_codegen.parser.walk import contract_schemas

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from weenats_codegen.parser.walk import Node

_START: Final = "begin with `weenats new NAME`"
ROOT_NAMES: Final = ("service.yaml", "service.yml", "service.json")
"""The names that the file of a contract may have."""


@dataclass(frozen=True, slots=True)
class Source:
    """A contract as it is written.

    Attributes:
        folder: The contract's folder.
        root: The content of service.yaml (or .yml, .json).
        resources: Its schemas, and those of the files that they refer to.
    """

    folder: Path
    root: Node
    resources: Resources


def load(folder: Path, root: Path | None = None) -> Source:
    """Read the service.yaml of a contract; the files it refers to are read when they are resolved.

    Args:
        folder: The contract's folder.
        root: The folder that references may not leave; by default that of the contract.

    Raises:
        ContractError: It has no service.yaml, several, or one that cannot be read at all.
    """
    names = _roots(folder)
    if not names:
        raise ContractError([_no_contract(folder)])
    if len(names) > 1:
        location = Location((folder / names[0]).as_posix())
        message = f"exists together with {' and '.join(names[1:])}"
        raise ContractError([Diagnostic(location, message, "keep one of them")])
    reader = Reader(root or folder)
    relative = (folder / names[0]).relative_to(reader.root).as_posix()
    location = Location(reader.path(relative))
    refusal = reader.refusal(relative)
    if refusal is not None:
        raise ContractError([Diagnostic(location, *refusal)])
    content = reader.read(relative)
    if content is None:
        raise ContractError(reader.diagnostics[location.file])
    resources = Resources(reader)
    resources.add_contract(content, contract_schemas(content))
    return Source(folder, content, resources)


def find_contracts(paths: Sequence[Path]) -> list[Path]:
    """Return the contract folders among some folders and directly below them, each once.

    Raises:
        ContractError: A path is not a folder, or contains no contract.
    """
    found: dict[Path, Path] = {}
    diagnostics: list[Diagnostic] = []
    for path in paths:
        folders = [path] if _roots(path) else [f for f in _folders(path) if _roots(f)]
        if not folders:
            diagnostics.append(_no_contract(path))
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    if diagnostics:
        raise ContractError(diagnostics)
    return list(found.values())


def _roots(folder: Path) -> list[str]:
    try:
        return [name for name in ROOT_NAMES if (folder / name).is_file()]
    except OSError:
        return []


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

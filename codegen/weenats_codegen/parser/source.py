"""A contract folder -> its service.yaml and every schema file that it reaches, read and kept.

Nothing outside the folder is opened, be it by `..`, by a link or by a URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.diagnostics import ContractError, Problem, shown
from weenats_codegen.parser.reader import Document, Reader
from weenats_codegen.parser.refs import RefusedReferenceError, target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue

__all__ = ["ROOT_NAMES", "Document", "Source", "find_contracts", "load"]

ROOT_NAMES: Final = ("service.yaml", "service.yml", "service.json")


@dataclass(frozen=True, slots=True)
class Source:
    """A contract as it is written.

    Attributes:
        folder: The contract's folder.
        root: Its service.yaml (or .yml, .json).
        documents: Every schema file that a `$ref` reaches, by its path within the folder.
        problems: What was wrong while reading; `lint` reports it with all the rest.
    """

    folder: Path
    root: Document
    documents: Mapping[str, Document]
    problems: tuple[Problem, ...] = ()

    def resolve(self, document: Document, ref: str) -> tuple[Document, str, JsonValue]:
        """Follow a `$ref` that stands in a document.

        Returns:
            The document it leads to, the JSON pointer there and the schema that stands there.

        Raises:
            ContractError: It leads nowhere, or to where no contract may look.
        """
        try:
            where = target(document.path, ref)
        except RefusedReferenceError as error:
            raise ContractError([document.problem("", error.message, error.remedy)]) from None
        path = where.path.as_posix()
        found = self.root if where.path == self.root.path else self.documents.get(path)
        problem = document.problem(
            "", f"the $ref {shown(ref)} leads nowhere", "correct it, or write what is missing"
        )
        if found is None or (found is self.root and not where.pointer):
            raise ContractError([problem])
        data: JsonValue = found.data
        for step in where.pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(data, dict) or key not in data:
                raise ContractError([problem])
            data = data[key]
        return found, where.pointer, data


def load(folder: Path) -> Source:
    """Read a contract folder.

    Raises:
        ContractError: It has no service.yaml, several, or one that cannot be read at all.
    """
    names = _roots(folder)
    if not names:
        raise ContractError([_nothing(folder)])
    if len(names) > 1:
        message = f"stands beside {' and '.join(names[1:])}"
        shown_path = (folder / names[0]).as_posix()
        raise ContractError([Problem(shown_path, "", message, "keep one of them")])
    reader = Reader(folder)
    root = reader.read_contract(PurePosixPath(names[0]))
    if root is None:
        raise ContractError(reader.problems)
    return Source(folder, root, reader.documents, tuple(reader.problems))


def find_contracts(paths: Sequence[Path]) -> list[Path]:
    """Return the contract folders among some folders and directly below them, each once.

    Raises:
        ContractError: A path is no folder, or holds no contract.
    """
    found: dict[Path, Path] = {}
    problems: list[Problem] = []
    for path in paths:
        folders = [path] if _roots(path) else [f for f in _folders(path) if _roots(f)]
        if not folders:
            problems.append(_nothing(path))
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    if problems:
        raise ContractError(problems)
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


def _nothing(path: Path) -> Problem:
    if path.is_dir():
        message, remedy = "holds no contract", "put a service.yaml into it"
    else:
        message, remedy = "is no folder that can be read", "give a folder that holds a service.yaml"
    return Problem(path.as_posix(), "", message, remedy)

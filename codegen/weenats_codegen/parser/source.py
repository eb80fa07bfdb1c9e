"""A contract folder -> its service.yaml and every schema file that it reaches.

Nothing outside the folder is opened, whether by `..`, by a link or by a URL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location, quoted
from weenats_codegen.parser.keywords import is_library
from weenats_codegen.parser.reader import Reader
from weenats_codegen.parser.refs import target
from weenats_codegen.parser.walk import Node

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CIRCLE: Final = Node(Location("circle"), None)
_BROKEN: Final = Node(Location("broken"), None)
"""What chains of `$ref`s without an end lead to."""
_START: Final = "begin with `weenats new NAME`"
_ROOT_NAMES: Final = ("service.yaml", "service.yml", "service.json")


@dataclass(frozen=True, slots=True)
class Source:
    """A contract as it is written.

    Attributes:
        folder: The contract's folder.
        root: The content of service.yaml (or .yml, .json).
        files: The content of service.yaml and of each schema file that a `$ref` reaches, by path.
        diagnostics: The errors that were found while reading.
    """

    folder: Path
    root: Node
    files: Mapping[str, Node]
    diagnostics: tuple[Diagnostic, ...] = ()
    _ends: dict[Location, Node] = field(
        default_factory=dict[Location, Node], init=False, repr=False, compare=False
    )

    def resolve(self, location: Location, ref: str) -> Node:
        """Return the schema that a `$ref` refers to.

        Args:
            location: The place of the `$ref`.
            ref: Its value.

        Raises:
            ContractError: There is no schema, or it is only a `$ref` in a circle of `$ref`s.
        """
        found = self._find(location, ref)
        if self._end(found) is _CIRCLE:
            message = f"the $ref {quoted(ref)} leads to a circle of $refs"
            remedy = "write the schema out in one of them"
            raise ContractError([Diagnostic(location, message, remedy)])
        return found

    def follow(self, schema: Node) -> Node | None:
        """Return the schema at the end of a chain of `$ref`s, None if there is none."""
        end = self._end(schema)
        return None if end is _CIRCLE or end is _BROKEN else end

    def _end(self, schema: Node) -> Node:
        """Return the end of a chain of `$ref`s; each step is taken once for all chains."""
        passed: dict[Location, None] = {}
        end = schema
        while (ref := end.ref) is not None:
            if end.location in self._ends:
                end = self._ends[end.location]
            elif end.location in passed:
                end = _CIRCLE
            else:
                passed[end.location] = None
                try:
                    end = self._find(end.location.child("$ref"), ref)
                except ContractError:  # reported for that $ref
                    end = _BROKEN
        self._ends.update(dict.fromkeys(passed, end))
        return end

    def _find(self, location: Location, ref: str) -> Node:
        """Take one step along a `$ref`."""

        def error(message: str, remedy: str) -> ContractError:
            text = f"the $ref {quoted(ref)} {message}"
            return ContractError([Diagnostic(location, text, remedy)])

        wanted = target(self.folder, location, ref)
        name = Path(wanted.file).relative_to(self.folder).as_posix()
        found = self.files.get(wanted.file)
        if found is None:
            raise error("refers to a file that was not read", "correct the $ref")
        if found is self.root and not wanted.pointer:
            remedy = "refer to '#/$defs/NAME', or to a schema file"
            raise error(f"refers to {name}, which is not a schema", remedy)
        if not wanted.pointer and is_library(found.mapping):
            remedy = "refer to one of its $defs, such as 'file.json#/$defs/NAME'"
            raise error("refers to a file that has only definitions", remedy)
        for step in wanted.pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if key not in found.mapping:
                entry = wanted.pointer.rpartition("/")[2]
                remedy = f"add {entry} to the $defs of {name}, or correct the $ref"
                raise error("refers to a schema that does not exist", remedy)
            found = found.get(key)
        return found


def load(folder: Path) -> Source:
    """Read a contract folder.

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
    reader = Reader(folder)
    root = reader.read_contract(names[0])
    if root is None:
        raise ContractError(reader.diagnostics)
    return Source(folder, root, reader.files, tuple(reader.diagnostics))


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
        return [name for name in _ROOT_NAMES if (folder / name).is_file()]
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

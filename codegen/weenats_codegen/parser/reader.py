"""The files of one contract: each read once, and none that stands outside its folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.diagnostics import Problem, shown
from weenats_codegen.parser.refs import RefusedReferenceError, target
from weenats_codegen.parser.syntax import Unreadable, parse
from weenats_codegen.parser.walk import Place, contract_schemas, references

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path, PurePosixPath

    from pydantic import JsonValue

_MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """A file of a contract.

    Attributes:
        path: Its path within the contract's folder.
        shown: Its path as the user knows it, for `Problem.file`.
        data: What stands in it.
    """

    path: PurePosixPath
    shown: str
    data: JsonValue

    def problem(self, pointer: str, message: str, remedy: str) -> Problem:
        """Return a problem of this file."""
        return Problem(self.shown, pointer, message, remedy)


class Reader:
    """Reads a service.yaml and every schema file that a `$ref` reaches from there.

    Attributes:
        documents: The schema files, by their path within the folder.
        problems: What was wrong with any file, and with any `$ref` to a file.
    """

    def __init__(self, folder: Path) -> None:
        """Start with nothing read."""
        self.documents: dict[str, Document] = {}
        self.problems: list[Problem] = []
        self._folder = folder
        self._seen: set[PurePosixPath] = set()

    def read_contract(self, path: PurePosixPath) -> Document | None:
        """Read service.yaml and all it reaches; None if itself has no value."""
        self._seen.add(path)
        shown_path = (self._folder / path).as_posix()
        refused = self._refused(path)
        if refused is not None:
            self.problems.append(Problem(shown_path, "", *refused))
            return None
        root = self._read(path)
        if root is not None:
            self._follow(root, contract_schemas(root.data))
        return root

    def _follow(self, document: Document, schemas: Iterable[Place]) -> None:
        # A list in place of recursion: a chain of files may be longer than Python's stack.
        waiting = [(document, list(schemas))]
        while waiting:
            current, places = waiting.pop()
            for schema in places:
                for pointer, ref in references(schema.value, schema.pointer):
                    found = self._reach(current, pointer, ref)
                    if found is not None:
                        waiting.append((found, [Place("", found.data)]))

    def _reach(self, document: Document, pointer: str, ref: JsonValue) -> Document | None:
        """Read the file that a `$ref` names, unless that was done."""
        if not isinstance(ref, str):
            return None  # no valid JSON Schema: lint says so
        try:
            path = target(document.path, ref).path
        except RefusedReferenceError as error:
            self.problems.append(document.problem(pointer, error.message, error.remedy))
            return None
        if path in self._seen:
            return None
        refused = self._refused(path)
        if refused is not None:
            # Noted at each $ref that leads there, so it is not marked as seen.
            message = f"the $ref {shown(ref)} leads to a file that {refused[0]}"
            self.problems.append(document.problem(pointer, message, refused[1]))
            return None
        self._seen.add(path)
        found = self._read(path)
        if found is not None:
            self.documents[path.as_posix()] = found
        return found

    def _refused(self, path: PurePosixPath) -> tuple[str, str] | None:
        """Say why a file may not be opened at all, and what to do."""
        try:
            real = (self._folder / path).resolve()
            if not real.is_relative_to(self._folder.resolve()):
                return "is a link out of the contract's folder", "put the file itself there"
            if not real.exists():
                return "does not exist", "correct the path, or write the file"
            if not real.is_file():
                return "is no regular file", "put a file there"
        except (OSError, RuntimeError, ValueError):  # no permission, links in a circle, a NUL
            return "cannot be reached", "mend its permissions or links"
        return None

    def _read(self, path: PurePosixPath) -> Document | None:
        place = self._folder / path
        try:
            with place.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        except OSError as error:
            message = f"cannot be read ({error.strerror})"
            self.problems.append(Problem(place.as_posix(), "", message, "mend its permissions"))
            return None
        if len(content) > _MAX_BYTES:
            message, remedy = "is larger than 1 MiB", "split it into several files"
            self.problems.append(Problem(place.as_posix(), "", message, remedy))
            return None
        try:
            parsed = parse(path, content)
        except Unreadable as error:
            self.problems.append(Problem(place.as_posix(), *error.flaw))
            return None
        self.problems.extend(Problem(place.as_posix(), *flaw) for flaw in parsed.flaws)
        return Document(path, place.as_posix(), parsed.value)

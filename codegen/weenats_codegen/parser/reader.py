"""Files below a root folder: each is read once, and none outside the folder is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location
from weenats_codegen.parser.syntax import MAX_BYTES, SUFFIXES, parse
from weenats_codegen.parser.walk import Node

if TYPE_CHECKING:
    from collections.abc import Iterator


class Reader:
    """Reads files below a folder.

    Attributes:
        root: The folder.
        files: The content of each file that could be read, by its path as the user knows it.
        diagnostics: What is wrong with each file that was opened, by its path.
    """

    def __init__(self, root: Path) -> None:
        """Initialize a reader that has read nothing yet.

        Args:
            root: The folder; nothing outside it is opened, whether by `..` or by a link.
        """
        self.root = root
        self.files: dict[str, Node] = {}
        self.diagnostics: dict[str, tuple[Diagnostic, ...]] = {}

    def path(self, relative: str) -> str:
        """Return the path of a file as the user knows it.

        Args:
            relative: Its path relative to the folder.
        """
        return (self.root / relative).as_posix()

    def refusal(self, relative: str) -> tuple[str, str] | None:
        """Return why a file must not be opened, and what to do about it.

        Args:
            relative: Its path relative to the folder.
        """
        try:
            real = (self.root / relative).resolve()
            if not real.is_relative_to(self.root.resolve()):
                return "is a link out of the contract's folder", "put the file itself there"
            if not real.exists():
                return "does not exist", "correct the path, or create the file"
            if not real.is_file():
                return "is not a regular file", "put a file there"
        except (OSError, RuntimeError, ValueError):  # no permission, circular links, a NUL
            return "cannot be accessed", "fix its permissions or links"
        return None

    def read(self, relative: str) -> Node | None:
        """Return the content of a file, None if it cannot be read.

        Args:
            relative: Its path relative to the folder; `refusal` returned None for it.
        """
        file = self.path(relative)
        if file in self.diagnostics:
            return self.files.get(file)
        location = Location(file)
        try:
            with Path(file).open("rb") as stream:
                content = stream.read(MAX_BYTES + 1)
            parsed = parse(file, content)
        except OSError as error:
            message = f"cannot be read ({error.strerror})"
            self.diagnostics[file] = (Diagnostic(location, message, "fix its permissions"),)
            return None
        except ContractError as error:
            self.diagnostics[file] = error.diagnostics
            return None
        self.diagnostics[file] = parsed.diagnostics
        self.files[file] = Node(location, parsed.value)
        return self.files[file]

    def others(self) -> Iterator[str]:
        """Yield the JSON and YAML files that were not opened yet, by their relative paths."""
        found: list[str] = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [
                (Path(folder) / name).relative_to(self.root).as_posix()
                for name in names
                if name.endswith(SUFFIXES)
            ]
        for relative in sorted(found):
            if self.path(relative) not in self.diagnostics and self.refusal(relative) is None:
                yield relative

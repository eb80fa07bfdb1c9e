"""Files below a root folder: each is read once, and none outside the folder is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location, closest, quoted
from weenats_codegen.parser.folders import Folders, Owner
from weenats_codegen.parser.syntax import MAX_BYTES, SUFFIXES, parse
from weenats_codegen.parser.walk import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_FILES: Final = 1_000
"""How many files are searched for the URL of a schema; the root folder may be a home directory."""
_SIMILARITY: Final = 0.75
"""How similar the name of a file must be to be what was meant: the file may also be missing."""
_MAX_SUGGESTIONS: Final = 50
"""How many files that do not exist are compared with those that do, which takes long."""


class Reader:
    """Reads the files of a contract or a library, and those of the libraries that it uses.

    Attributes:
        root: The folder that holds the contracts and libraries.
        folder: The folder of the contract or library, as the user knows it.
        files: The content of each file that could be read, by its path as the user knows it.
        diagnostics: What is wrong with each file that was opened, by its path.
    """

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        """Initialize a reader that has read nothing yet.

        Args:
            folder: The folder of the contract or library.
            root: The folder that holds it, and the libraries that it may use. Nothing outside is
                opened, whether by `..` or by a link. Without one, nothing outside `folder` is.
        """
        self.root: Final = root or folder
        self.folder: Final = folder
        self.files: dict[str, Node] = {}
        self.diagnostics: dict[str, tuple[Diagnostic, ...]] = {}
        self._own: Final = "" if root is None else name_of(folder)
        self._folders: Final = Folders(self.root)
        self._relative: Final[dict[str, str]] = {}
        self._names: Final[dict[Path, frozenset[str]]] = {}
        self._missing = 0

    def path(self, relative: str) -> str:
        """Return the path of a file as the user knows it.

        Args:
            relative: Its path relative to the root folder.
        """
        path = self._path(relative).as_posix()
        self._relative[path] = relative
        return path

    def relative(self, path: str) -> str:
        """Return the path of a file relative to the root folder.

        Args:
            path: Its path as `path` returned it.
        """
        return self._relative[path]

    def own(self, name: str) -> str:
        """Return the path of a file relative to the root folder.

        Args:
            name: Its path relative to the folder of the contract or library.
        """
        return f"{self._own}/{name}" if self._own else name

    def owner(self, relative: str) -> Owner:
        """Return the contract or library that a file belongs to.

        Args:
            relative: Its path relative to the root folder.
        """
        is_own = self._is_own(relative)
        if is_own and (not self._own or self._folders.is_contract(self._own)):
            return Owner(self._own, is_contract=True)
        return self._folders.owner(relative)

    def refusal(self, relative: str) -> tuple[str, str] | None:
        """Return why a file must not be opened, and what to do about it.

        Args:
            relative: Its path relative to the root folder.
        """
        try:
            real = self._path(relative).resolve()
            if not real.is_relative_to(self._home(relative)):
                return "is a link out of its folder", "put the file itself there"
            if not real.exists():
                return self._absence(relative)
            if not real.is_file():
                return "is not a regular file", "put a file there"
            if not self._is_spelled_right(relative):
                return "is spelled in another way", "use the upper and lower case of its name"
        except (OSError, RuntimeError, ValueError) as error:  # also circular links, a NUL
            reason = error.strerror if isinstance(error, OSError) else None
            message = "cannot be accessed" if reason is None else f"cannot be accessed ({reason})"
            return message, "fix its name, permissions or links"
        return None

    def read(self, relative: str) -> Node | None:
        """Return the content of a file, None if it cannot be read.

        Args:
            relative: Its path relative to the root folder; `refusal` returned None for it.
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

    def own_files(self) -> list[str]:
        """Return the JSON and YAML files of the contract or library, by their relative paths."""
        owner = self.owner(self.own(""))
        found = (self.own(name) for name in _files(self.folder))
        return [each for each in found if self.owner(each) == owner and not self.refusal(each)]

    def others(self) -> Iterator[str]:
        """Yield the JSON and YAML files that were not opened yet, by their relative paths.

        They are those of the contract or library itself, then those of libraries.
        """
        for relative in self.own_files():
            if self.path(relative) not in self.diagnostics:
                yield relative
        if not self._own:
            return
        for relative in _files(self.root, self._folders):
            owner = self.owner(relative)
            is_library = bool(owner.folder) and not owner.is_contract
            if (
                is_library
                and not self._is_own(relative)
                and self.path(relative) not in self.diagnostics
                and self.refusal(relative) is None
            ):
                yield relative

    def _absence(self, relative: str) -> tuple[str, str]:
        """Return that a file does not exist, and what to do about it."""
        if self._path(relative).is_symlink():
            return "is a link that leads nowhere", "put the file itself there"
        return "does not exist", self._meant(relative)

    def _meant(self, relative: str) -> str:
        """Return a remedy for a file that does not exist."""
        remedy = "correct the path, or create the file"
        self._missing += 1
        path = self._path(relative)
        if self._missing > _MAX_SUGGESTIONS or not path.parent.is_dir():
            return remedy
        files = [each.name for each in path.parent.iterdir() if each.name.endswith(SUFFIXES)]
        names = {each.partition(".")[0]: each for each in sorted(files)}
        meant = closest(path.name.partition(".")[0], names, _SIMILARITY)
        return remedy if meant is None else f"did you mean {quoted(names[meant])} in that folder?"

    def _is_own(self, relative: str) -> bool:
        return not self._own or relative.startswith(f"{self._own}/")

    def _path(self, relative: str) -> Path:
        if self._own and self._is_own(relative):
            return self.folder / relative.removeprefix(f"{self._own}/")
        return self.root / relative

    def _home(self, relative: str) -> Path:
        """Return the folder that a file is in, without links that lead out of it."""
        if self._is_own(relative) and self.owner(relative).is_contract:
            return self.folder.resolve()
        return self.root.resolve() / relative.partition("/")[0]

    def _is_spelled_right(self, relative: str) -> bool:
        """Return whether a path has the upper and lower case of the files and folders.

        Some file systems ignore it, and would make two libraries of one.
        """
        folder = self.folder if self._own and self._is_own(relative) else self.root
        for name in self._path(relative).relative_to(folder).parts:
            if folder not in self._names:
                self._names[folder] = frozenset(each.name for each in folder.iterdir())
            if name not in self._names[folder]:
                return False
            folder /= name
        return True


def name_of(folder: Path) -> str:
    """Return the name of a folder, also of one that the user calls `.` or `..`."""
    return folder.name if folder.name not in {"", ".."} else folder.resolve().name


def _files(root: Path, folders: Folders | None = None) -> list[str]:
    """Return the JSON and YAML files below a folder, sorted, without hidden folders.

    Args:
        root: The folder.
        folders: If given, folders of contracts are left out, and the number of files is limited.
    """
    found: list[str] = []
    for folder, inner, names in os.walk(root):
        relative = Path(folder).relative_to(root)
        inner[:] = sorted(
            name
            for name in inner
            if not name.startswith(".")
            and not (folders and folders.is_contract((relative / name).as_posix()))
        )
        found += [(relative / name).as_posix() for name in sorted(names) if name.endswith(SUFFIXES)]
        if folders is not None and len(found) > _MAX_FILES:
            return found[:_MAX_FILES]
    return sorted(found)

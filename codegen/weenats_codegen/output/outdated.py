"""Packages that an earlier run has generated, and that no contract needs any more."""

from __future__ import annotations

import errno
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from weenats_codegen.output.stubs import is_stub, is_untouched
from weenats_codegen.reserved import MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SOURCE: Final = re.compile(rf"{MARK}(.+)\. Do not edit\.")
_USED: Final = re.compile(r"^from (\w+)\.library import ", re.MULTILINE)
_COPIES: Final = "libraries"
"""The folder with the libraries inside the package of a client project."""
_CACHE: Final = "__pycache__"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run is responsible for: which of the packages that it does not write are outdated.

    Attributes:
        files: The main files of the contracts of the run, as the user named them.
        folders: The folders in which the run looked for contracts, as the user named them.
        is_client: Whether the run writes a client project.
    """

    files: frozenset[str] = frozenset()
    folders: frozenset[PurePosixPath] = field(default_factory=frozenset[PurePosixPath])
    is_client: bool = False

    def includes(self, source: str) -> bool:
        """Return whether a contract is one of this run, or would be if it still existed.

        Args:
            source: Its main file, as the first line of generated files names it.
        """
        folder = PurePosixPath(source).parent
        return source in self.files or (bool(folder.name) and folder.parent in self.folders)


def outdated_folders(out: Path, files: Mapping[str, str], scope: Scope) -> list[Path]:
    """Return the packages below a folder that were generated and are not needed any more.

    These are the packages of contracts that were removed or have another package now, libraries
    that no package uses, and copies of libraries in client projects. Whether they have files of the
    user does not matter.

    Args:
        out: The folder of the packages.
        files: What the run writes, by relative path.
        scope: What the run is responsible for.

    Raises:
        OSError: The folder of a contract is there and empty.
    """
    current = {name.partition("/")[0] for name in files}
    others = {
        path.parent.name: source
        for path in sorted(out.glob("*/operations.py"))
        if path.parent.name not in current and (source := source_of(path))
    }
    found = [
        name
        for name, source in others.items()
        if scope.includes(source) and _is_client(out / name) == scope.is_client
    ]
    for name in found:
        _check_gone(Path(others[name]).parent)
    if not scope.is_client and scope.files:
        found += _unused_libraries(out, current, others.keys() - set(found))
    return [*(out / name for name in found), *_outdated_copies(out, files)]


def generated_files(folder: Path, *, is_whole: bool) -> Iterator[Path]:
    """Yield the files in a folder that were generated, and that nobody has changed.

    Args:
        folder: The folder of a package.
        is_whole: Whether stubs and `py.typed` count, which every package has.
    """
    for path in sorted(folder.glob("*.py")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            is_old_stub = is_whole and is_stub(path.name) and is_untouched(content)
            if content.startswith(MARK.encode()) or is_old_stub:
                yield path
    typed = folder / "py.typed"
    if is_whole and typed.is_file() and not typed.is_symlink() and not typed.stat().st_size:
        yield typed


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders in which nothing is left but the caches of Python."""
    for folder in sorted(folders, reverse=True):  # inner ones first
        with suppress(OSError):
            if {path.name for path in folder.iterdir()} <= {_CACHE}:
                shutil.rmtree(folder / _CACHE, ignore_errors=True)
                folder.rmdir()


def source_of(path: Path) -> str:
    """Return what a generated file was generated from, "" if it is not a generated file."""
    if not path.is_file() or path.is_symlink() or path.parent.is_symlink():
        return ""
    with path.open(encoding="utf-8", errors="replace") as stream:
        match = _SOURCE.match(stream.readline())
    return match[1] if match else ""


def _check_gone(folder: Path) -> None:
    """Refuse a folder without visible files, as that of a submodule that is not checked out."""
    if folder.is_dir() and all(each.name.startswith(".") for each in folder.iterdir()):
        message = "is empty: check out its submodule, or remove the folder"
        raise FileNotFoundError(errno.ENOENT, message, os.fspath(folder))


def _is_client(package: Path) -> bool:
    """Return whether a package is that of a client project: without a service."""
    return not (package / "service.py").exists()


def _unused_libraries(out: Path, current: set[str], packages: Iterable[str]) -> list[str]:
    """Return the libraries that are not written, and that no package uses."""
    libraries = {
        path.parent.name
        for path in out.glob("*/library.py")
        if path.parent.name not in current and source_of(path)
    }
    pending = list(packages)
    while pending:
        module = out / pending.pop() / "libraries.py"
        used = {*_USED.findall(module.read_text("utf-8"))} if source_of(module) else set[str]()
        pending += used & libraries
        libraries -= used
    return sorted(libraries)


def _outdated_copies(out: Path, files: Mapping[str, str]) -> Iterator[Path]:
    """Yield the folders of the copies of libraries that are not written any more."""
    written = {(out / name).parent for name in files}
    for package in sorted({out / name.partition("/")[0] for name in files if "/" in name}):
        copies = package / _COPIES
        if copies.is_symlink() or package.is_symlink():
            continue
        for folder in (copies, *sorted(copies.glob("*"))):
            if folder not in written and source_of(folder / "__init__.py"):
                yield folder

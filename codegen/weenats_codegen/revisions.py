"""Contracts in folders, in files and in git revisions."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weenats_codegen.generate import read_contracts
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location
from weenats_codegen.parser.folders import ROOT_NAMES

if TYPE_CHECKING:
    from weenats_codegen.ir.contract import Contract

_REVISION: Final = re.compile(r"(?P<revision>[^:]{2,}):(?P<path>.*)", re.DOTALL)
"""A revision has two characters at least, so that `C:` remains a drive."""


class RevisionError(Exception):
    """A git revision cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contracts of one side of a comparison.

    Attributes:
        contracts: The contracts.
        folder: The temporary folder that they were read from; "" if there is none.
        shown: What users call that folder.
    """

    contracts: tuple[Contract, ...]
    folder: str = ""
    shown: str = ""

    def location(self, location: Location) -> Location:
        """Return a location as users know it.

        Args:
            location: A location in one of the contracts.
        """
        if not self.folder or not location.file.startswith(f"{self.folder}/"):
            return location
        return location._replace(file=self.shown + location.file.removeprefix(f"{self.folder}/"))


def opened(place: str) -> Contracts:
    """Return the contracts in a folder, a file or a git revision.

    Args:
        place: A folder of one or more contracts, a service.yaml, or `REV:PATH` as in `git show`:
            PATH is relative to the root of the repository, or to the working directory if it
            begins with `./`.

    Raises:
        ContractError: A contract is invalid, or there is none.
        RevisionError: There is no such revision, or no git.
    """
    match = _REVISION.fullmatch(place)
    if match is None or Path(place).exists():
        return Contracts(tuple(read_contracts([_folder(Path(place))])))
    path = match["path"]
    if path in {".", ".."} or path.startswith(("./", "../")):
        path = (Path(_git("rev-parse", "--show-prefix").decode().rstrip("\n")) / path).as_posix()
    return _at(match["revision"], os.path.normpath(path).replace(os.sep, "/").lstrip("/"))


def at_revision(revision: str, path: Path) -> Contracts:
    """Return what the contracts in a folder were in a git revision, none if there was none.

    Args:
        revision: The revision.
        path: A folder of one or more contracts.

    Raises:
        ContractError: A contract is invalid.
        RevisionError: The folder is not in a git repository.
    """
    root = Path(_git("rev-parse", "--show-toplevel").decode().rstrip("\n")).resolve()
    try:
        inside = path.resolve().relative_to(root).as_posix()
    except ValueError:
        raise RevisionError(f"{path} is not in the git repository {root}") from None
    if not _git("-C", str(root), "ls-tree", "-r", "--name-only", revision, "--", inside):
        return Contracts(())
    return _at(revision, inside)


def is_revision(text: str) -> bool:
    """Return whether a text names a git revision.

    Args:
        text: The text.
    """
    try:
        _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}")
    except RevisionError:
        return False
    return True


def _at(revision: str, path: str) -> Contracts:
    """Return the contracts below a path of a git revision, relative to the repository's root."""
    root = _git("rev-parse", "--show-toplevel").decode().rstrip("\n")
    if posixpath.basename(path) in ROOT_NAMES:
        path = posixpath.dirname(path) or "."
    if not is_revision(revision):
        raise RevisionError(f"there is no git revision {revision}")
    commit = _git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    whole = _with_libraries(root, revision, path)
    arguments = [] if whole == "." else ["--", whole]
    archive = _git("-C", root, "archive", "--format=tar", commit.decode().strip(), *arguments)
    with tempfile.TemporaryDirectory(prefix="weenats-") as folder:
        try:
            with tarfile.open(fileobj=BytesIO(archive)) as files:
                files.extractall(folder, filter="data")
        except tarfile.FilterError as error:
            raise RevisionError(f"{revision}:{path} has a link that leads out of it") from error
        shown = f"{revision}:"
        try:
            found = read_contracts([_folder(Path(folder) / path)])
        except ContractError as error:
            located = Contracts((), Path(folder).as_posix(), shown)
            raise ContractError(
                [
                    each._replace(location=located.location(each.location))
                    for each in error.diagnostics
                ]
            ) from None
        return Contracts(tuple(found), Path(folder).as_posix(), shown)


def _with_libraries(root: str, revision: str, path: str) -> str:
    """Return the folder that has what contracts below a path refer to.

    The libraries of a contract are beside its folder.
    """
    inside = [] if path == "." else ["--", f"{path}/"]
    names = _git("-C", root, "ls-tree", "--name-only", revision, *inside).decode().splitlines()
    is_contract = any(posixpath.basename(name) in ROOT_NAMES for name in names)
    return posixpath.dirname(path) or "." if is_contract and path != "." else path


def _folder(path: Path) -> Path:
    """Return the folder of a contract, given its service.yaml."""
    if path.is_file():
        if path.name not in ROOT_NAMES:
            message = "is not a contract"
            remedy = "use a service.yaml, or a folder that contains one"
            raise ContractError([Diagnostic(Location(path.as_posix()), message, remedy)])
        return path.parent
    return path


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)  # noqa: S603, S607 - git of the user
    except OSError as error:
        raise RevisionError("git revisions need git, and there is none on the path") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
        raise RevisionError(lines[0].removeprefix("fatal: "))
    return done.stdout

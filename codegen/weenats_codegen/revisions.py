"""Contracts in folders, in files and in git revisions."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weenats_codegen.generate import read_contracts
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location, did_you_mean
from weenats_codegen.parser.folders import ROOT_NAMES
from weenats_codegen.parser.syntax import parse
from weenats_codegen.parser.walk import Node

if TYPE_CHECKING:
    from collections.abc import Collection

    from weenats_codegen.ir.contract import Contract

_REVISION: Final = re.compile(r"(?P<revision>[^:]{2,}):(?P<path>.*)", re.DOTALL)
"""A revision has two characters at least, so that `C:` remains a drive."""
_LINK: Final = b"120000"
"""The mode of a symbolic link."""


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
        if not self.folder or not f"{location.file}/".startswith(f"{self.folder}/"):
            return location
        inside = location.file.removeprefix(self.folder).removeprefix("/")
        return location._replace(file=self.shown + inside)


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
    if not place:  # an unset variable would stand for the working directory, the same as itself
        raise RevisionError("a version to compare with is empty; use a folder, or REV:PATH")
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
    root = _root()
    whole = path.resolve()
    try:
        inside = whole.relative_to(root).as_posix()
    except ValueError:
        raise RevisionError(f"{path} is not in the git repository {root}") from None
    for folder in (whole, *whole.parents):
        if folder == root:
            break
        if (folder / ".git").exists():
            raise RevisionError(f"{path} is in the git repository {folder}: run weenats there")
    if not _git("-C", str(root), "ls-tree", "-r", "--name-only", revision, "--", inside):
        return Contracts(())
    return _at(revision, inside)


def moved_since(revision: str, services: Collection[str]) -> list[Contracts]:
    """Return the contracts of services in folders of a git revision that are gone since.

    Args:
        revision: The revision.
        services: The names of the services.

    Raises:
        ContractError: A contract is invalid.
        RevisionError: There is no git repository.
    """
    root = _root()
    files = _git("-C", str(root), "ls-tree", "-r", "-z", "--name-only", "--full-tree", revision)
    found: dict[str, Contracts] = {}
    for file in map(os.fsdecode, files.split(b"\0")):
        if posixpath.basename(file) in ROOT_NAMES and not (root / file).exists():
            service = _service(
                file, _git("-C", str(root), "cat-file", "blob", f"{revision}:{file}")
            )
            if service in services and service not in found:
                found[service] = _at(revision, posixpath.dirname(file) or ".")
    return list(found.values())


def _service(file: str, content: bytes) -> str:
    """Return the name of the service in a service.yaml, "" if it has none."""
    try:
        node = Node(Location(file), parse(posixpath.basename(file), content).value)
    except ContractError:
        return ""
    return str(node.get("service").value)


def check_revision(text: str) -> None:
    """Check that a text names a git revision.

    Args:
        text: The text.

    Raises:
        RevisionError: It does not, or there is no git repository, or no git.
    """
    _git("rev-parse", "--git-dir")
    if not is_revision(text):
        remedy = _similar_revision(text) or "in a shallow clone, fetch it first"
        raise RevisionError(f"{text} is neither a folder nor a git revision; {remedy}")


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
    root = str(_root())
    if posixpath.basename(path) in ROOT_NAMES:
        path = posixpath.dirname(path) or "."
    if not is_revision(revision):
        hint = _similar_revision(revision)
        raise RevisionError(f"there is no git revision {revision}{hint and f'; {hint}'}")
    commit = _git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    whole = _with_libraries(root, revision, path)
    files = _files(root, commit.decode().strip(), whole)
    if not files:
        known = [f"{revision}:{each}" for each in _folders_of_contracts(root, revision)]
        hint = did_you_mean(f"{revision}:{path}", known, None if known else "it has no contracts")
        raise RevisionError(f"there are no files at {revision}:{path}; {hint}")
    with tempfile.TemporaryDirectory(prefix="weenats-") as folder:
        for file, mode, content in files:
            _write(Path(folder), file, content, is_link=mode == _LINK)
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


def _similar_revision(text: str) -> str:
    """Return a remedy for a revision that does not exist, "" if no branch or tag is similar."""
    refs = _git("for-each-ref", "--format=%(refname:short)").decode(errors="replace").splitlines()
    head = ["HEAD"] if is_revision("HEAD") else []  # there is none before the first commit
    return did_you_mean(text, [*head, *refs], "")


def _folders_of_contracts(root: str, revision: str) -> set[str]:
    """Return the folders of contracts in a revision, and the folders that hold these."""
    files = _git("-C", root, "ls-tree", "-r", "-z", "--name-only", "--full-tree", revision)
    folders = [
        posixpath.dirname(file)
        for file in map(os.fsdecode, files.split(b"\0"))
        if posixpath.basename(file) in ROOT_NAMES
    ]
    return {each for folder in folders for each in (folder, posixpath.dirname(folder)) if each}


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


def _files(root: str, commit: str, path: str) -> list[tuple[str, bytes, bytes]]:
    """Return the files below a path of a commit: path, mode and content, links at the end.

    They are read as they are: attributes such as `export-ignore` do not matter.
    """
    inside = [] if path == "." else ["--", path]
    listed = _git("-C", root, "ls-tree", "-r", "-z", "--full-tree", commit, *inside)
    blobs: list[tuple[bytes, bytes, str]] = []
    for entry in filter(None, listed.split(b"\0")):
        head, _, name = entry.partition(b"\t")
        mode, kind, blob = head.split()
        if kind == b"blob":
            blobs.append((mode, blob, os.fsdecode(name)))
    names = b"".join(blob + b"\n" for _, blob, _ in blobs)
    contents = _git("-C", root, "cat-file", "--batch", given=names)
    found: list[tuple[str, bytes, bytes]] = []
    at = 0
    for mode, _, file in blobs:
        start = contents.index(b"\n", at) + 1
        end = start + int(contents[at:start].split()[2])
        found.append((file, mode, contents[start:end]))
        at = end + 1
    return sorted(found, key=lambda each: each[1] == _LINK)


def _write(folder: Path, file: str, content: bytes, *, is_link: bool) -> None:
    """Write a file of a revision into a folder, and nothing outside of it."""
    target = os.fsdecode(content) if is_link else ""
    leads_to = posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
    if ".." in {*file.split("/"), leads_to.split("/")[0]} or posixpath.isabs(leads_to):
        raise RevisionError(f"{file} is a link that leads out of the repository")
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_link:
        path.symlink_to(target)
    else:
        path.write_bytes(content)


def _root() -> Path:
    """Return the root of the git repository of the working directory."""
    return Path(os.fsdecode(_git("rev-parse", "--show-toplevel")).rstrip("\n")).resolve()


def _git(*arguments: str, given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            ["git", *arguments],  # noqa: S607 - git of the user
            input=given, capture_output=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise RevisionError("git revisions need git, and there is none on the path") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
        raise RevisionError(lines[0].removeprefix("fatal: "))
    return done.stdout

"""The versions of a contract in the tags of its git repository."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.parser.diagnostics import ContractError, Location
from weenats_codegen.parser.syntax import parse
from weenats_codegen.parser.walk import Node, entries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_TAGS: Final = 100
_TIMEOUT: Final = 10.0
_SECTIONS: Final = ("commands", "queries", "events", "errors")


class Version(NamedTuple):
    """A version of a contract.

    Attributes:
        version: The version that the contract has.
        tag: The first tag with this version.
        date: The day of the tag.
        added: What it has and the version before had not.
        removed: What the version before had.
    """

    version: str
    tag: str
    date: str
    added: list[str]
    removed: list[str]


def history(file: Path) -> list[Version]:
    """Return the versions of a contract, the newest first; none without git, tags or versions.

    Args:
        file: The path of service.yaml.
    """
    found: list[Version] = []
    before: set[str] = set()
    for tag, date, node in _tagged(file):
        version = node.get("version").value
        names = {
            f"{section[:-1].replace('querie', 'query')} {entry.name}"
            for section in _SECTIONS
            for entry in entries(node, section)
        }
        if isinstance(version, str) and not (found and found[-1].version == version):
            added = sorted(names - before) if found else []
            found.append(Version(version, tag, date, added, sorted(before - names)))
            before = names
    return found[::-1]


def _tagged(file: Path) -> Iterator[tuple[str, str, Node]]:
    """Yield the tags that have the file, the oldest first, with its content."""
    form = "--format=%(refname:short)%09%(creatordate:short)"
    listed = _git(file.parent, "for-each-ref", "refs/tags", "--sort=-version:refname",
        "--sort=-creatordate", form,
                  f"--count={_MAX_TAGS}")  # fmt: skip
    for line in reversed(listed.decode(errors="replace").splitlines()):
        tag, _, date = line.partition("\t")
        content = _git(file.parent, "show", f"refs/tags/{tag}:./{file.name}")
        try:
            if content:
                yield tag, date, Node(Location(file.name), parse(file.name, content).value)
        except ContractError:
            continue


def _git(folder: Path, *arguments: str) -> bytes:
    """Return what git prints, b"" if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell; tags cannot be options
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - git of the user
            capture_output=True, check=False, timeout=_TIMEOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return b""
    return done.stdout if done.returncode == 0 else b""

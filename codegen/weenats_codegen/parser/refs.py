"""What a `$ref` may be: a schema file of the contract's own folder, or a named schema in one."""

from __future__ import annotations

import posixpath
import re
from pathlib import PurePosixPath
from typing import Final, NamedTuple
from urllib.parse import unquote

from weenats_codegen.parser.diagnostics import shown
from weenats_codegen.parser.syntax import SUFFIXES

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_FRAGMENT: Final = re.compile(r"(/\$defs/[^/]+)?")


class Target(NamedTuple):
    """Where a `$ref` leads: a file, as a path within the contract's folder, and a pointer."""

    path: PurePosixPath
    pointer: str


class RefusedReferenceError(Exception):
    """A `$ref` that no contract may have; nothing is opened to find that out."""

    def __init__(self, message: str, remedy: str) -> None:
        """Hold what is wrong and what to do."""
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy


_INSIDE: Final = "put the schema into a file of the contract's folder and give its relative path"


def target(base: PurePosixPath, ref: str) -> Target:
    """Return where a `$ref` in the file `base` leads, or raise RefusedReferenceError."""
    raw_path, _, raw_fragment = ref.partition("#")
    # Percent-encoding may hide what the raw text does not show: what it means is looked at.
    path, fragment = unquote(raw_path), unquote(raw_fragment)
    scheme = _SCHEME.match(path)
    if scheme is not None:
        kind = "a file: URL" if scheme[1].lower() == "file" else "a URL"
        raise RefusedReferenceError(f"the $ref {shown(ref)} is {kind}", _INSIDE)
    if path.startswith("/") or "\\" in path or _DRIVE.match(path):
        raise RefusedReferenceError(f"the $ref {shown(ref)} is an absolute path", _INSIDE)
    if "?" in raw_path or not path.isprintable():
        raise RefusedReferenceError(f"the $ref {shown(ref)} is no path of a file", _INSIDE)
    if not _FRAGMENT.fullmatch(fragment):
        raise RefusedReferenceError(
            f"the $ref {shown(ref)} leads inside a schema",
            "move what it leads to into $defs and refer to '#/$defs/NAME'",
        )
    if not path:
        return Target(base, fragment)
    found = PurePosixPath(posixpath.normpath(base.parent / path))
    if found.parts[:1] == ("..",):
        raise RefusedReferenceError(
            f"the $ref {shown(ref)} leads out of the contract's folder", _INSIDE
        )
    if found.suffix not in SUFFIXES:
        raise RefusedReferenceError(
            f"the $ref {shown(ref)} names no JSON or YAML file",
            f"refer to a file whose name ends in {', '.join(SUFFIXES)}",
        )
    return Target(found, fragment)

"""What a `$ref` may be: a schema file in the contract's own folder, or a named schema in one."""

import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location, quoted
from weenats_codegen.parser.syntax import SUFFIXES

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_FRAGMENT: Final = re.compile(r"(/\$defs/[^/]+)?")
_INSIDE: Final = "put the schema in a file in the contract's folder and use its relative path"


def target(folder: Path, location: Location, ref: str) -> Location:
    """Return the location that a `$ref` refers to, without opening any file.

    Args:
        folder: The contract's folder.
        location: The place of the `$ref`.
        ref: Its value.

    Raises:
        ContractError: The `$ref` is a URL, leaves the folder, or has a fragment other than
            `#/$defs/NAME`.
    """

    def error(message: str, remedy: str = _INSIDE) -> ContractError:
        return ContractError([Diagnostic(location, f"the $ref {quoted(ref)} {message}", remedy)])

    raw_path, _, raw_fragment = ref.partition("#")
    # Percent-encoding must not hide anything from the checks below.
    path, fragment = unquote(raw_path), unquote(raw_fragment)
    if scheme := _SCHEME.match(path):
        raise error("is a file: URL" if scheme[1].lower() == "file" else "is a URL")
    if path.startswith("/") or "\\" in path or _DRIVE.match(path):
        raise error("is an absolute path")
    if "?" in raw_path or not path.isprintable():
        raise error("is not a valid file path")
    if not _FRAGMENT.fullmatch(fragment):
        raise error(
            "refers to a place inside a schema",
            "move that schema to $defs and refer to '#/$defs/NAME'",
        )
    if not path:
        return Location(location.file, fragment)
    root = PurePosixPath(folder.as_posix())
    base = PurePosixPath(location.file).relative_to(root).parent
    found = PurePosixPath(posixpath.normpath(base / path))
    if found.parts[:1] == ("..",):
        raise error("leads out of the contract's folder")
    if found.suffix not in SUFFIXES:
        raise error(
            "is not the name of a JSON or YAML file",
            f"refer to a file whose name ends in {', '.join(SUFFIXES)}",
        )
    return Location((root / found).as_posix(), fragment)

"""URIs of schemas: base URIs, references, and the files below a root folder that they name."""

from __future__ import annotations

import posixpath
import re
from typing import Final
from urllib.parse import quote, unquote, urljoin

from weenats_codegen.parser.syntax import SUFFIXES

FILES: Final = "contract:///"
"""The base URI of the files: what follows is a path relative to the root folder."""
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_INSIDE: Final = (
    "put the schema in a file in the contract's folder, or a folder beside it, and use its relative"
    " path"
)


class InvalidReferenceError(Exception):
    """A reference is not valid.

    Attributes:
        message: What is wrong with it.
        remedy: How to fix it.
    """

    def __init__(self, message: str, remedy: str = _INSIDE) -> None:
        """Initialize the exception."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def file_uri(path: str) -> str:
    """Return the URI of a file, given its path relative to the root folder."""
    return FILES + quote(path, errors="surrogateescape")


def is_absolute(ref: str) -> bool:
    """Return whether a reference is a URI and not relative to one."""
    return _SCHEME.match(ref) is not None


def split(uri: str) -> tuple[str, str]:
    """Return a URI or reference without its fragment, and the decoded fragment."""
    start, _, fragment = uri.partition("#")
    return start, unquote(fragment)


def join(base: str, ref: str) -> str:
    """Return the URI that a reference without a fragment names (RFC 3986).

    Args:
        base: The base URI.
        ref: The reference.
    """
    if not ref:
        return base
    if is_absolute(ref):
        return ref
    scheme, colon, rest = base.partition(":")
    # urljoin knows the schemes whose paths are hierarchical; every other one is treated alike.
    return scheme + colon + urljoin(f"http:{rest}", ref).removeprefix("http:")


def path_of(base: str, ref: str) -> str:
    """Return the path of the file that a relative reference names, relative to the root folder.

    Args:
        base: The URI of the file with the reference, as `file_uri` returns it.
        ref: The reference, without a fragment.

    Raises:
        InvalidReferenceError: The reference is a URL, leaves the root folder, or is not the name
            of a JSON or YAML file.
    """
    # Percent-encoding must not hide anything from the checks below.
    path = unquote(ref)
    if is_absolute(path):
        is_file = path.lower().startswith("file:")
        raise InvalidReferenceError("is a file: URL" if is_file else "is a URL")
    if path.startswith("/") or _DRIVE.match(path):
        raise InvalidReferenceError("is an absolute path")
    if "\\" in path:
        raise InvalidReferenceError("has a backslash", "use / between folders")
    if "?" in ref or not path.isprintable():
        raise InvalidReferenceError("is not a valid file path")
    folder = posixpath.dirname(unquote(base.removeprefix(FILES), errors="surrogateescape"))
    found = posixpath.normpath(posixpath.join(folder, path))
    if found == ".." or found.startswith("../"):
        raise InvalidReferenceError("leads out of the folder that holds the contracts")
    if not found.endswith(SUFFIXES):
        raise InvalidReferenceError(
            "is not the name of a JSON or YAML file",
            f"refer to a file whose name ends in {', '.join(SUFFIXES)}",
        )
    return found

"""A folder of schemas without a contract -> the schemas that contracts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location
from weenats_codegen.parser.dialects import is_definition
from weenats_codegen.parser.reader import Reader
from weenats_codegen.parser.refs import InvalidReferenceError
from weenats_codegen.parser.resources import Resources

if TYPE_CHECKING:
    from pathlib import Path

    from weenats_codegen.parser.resources import Place

_IDENTIFIERS: Final = frozenset({"$id", "$anchor", "$dynamicAnchor"})
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


@dataclass(frozen=True, slots=True)
class LibrarySource:
    """A library as it is written.

    Attributes:
        folder: Its folder, relative to the root folder.
        resources: The schemas of all its files, and those of the files that they refer to.
        schemas: The schemas that have a name: files, and entries of `$defs`.
    """

    folder: str
    resources: Resources
    schemas: tuple[Place, ...]


def load_library(folder: str, root: Path) -> LibrarySource:
    """Read all files of a library; those of other libraries are read when they are referred to.

    Args:
        folder: The library's folder, relative to the root folder.
        root: The folder that holds it.

    Raises:
        ContractError: A file was removed or replaced meanwhile.
    """
    reader = Reader(root / folder, root)
    resources = Resources(reader)
    for relative in reader.own_files():
        try:
            resources.add_file(relative)
        except InvalidReferenceError:  # it could be opened when the files were listed
            location = Location(reader.path(relative))
            message, remedy = "was changed while it was read", "run the command again"
            raise ContractError([Diagnostic(location, message, remedy)]) from None
    schemas = tuple(place for place in resources.schemas if _has_name(place))
    # Other files, such as examples, are none of its schemas unless a reference leads to them.
    files = {each.node.location.file for each in schemas}
    resources.used.intersection_update(
        file for file in resources.used if file in files or file not in reader.files
    )
    return LibrarySource(folder, resources, schemas)


def _has_name(place: Place) -> bool:
    """Return whether a schema of a library is a file, an entry of `$defs`, or has an identifier."""
    pointer = place.node.location.pointer
    if is_definition(pointer):
        return True
    schema = place.node.mapping
    is_schema = bool(pointer) or not schema.keys().isdisjoint(place.context.dialect.keywords)
    has_identifier = not pointer or not schema.keys().isdisjoint(_IDENTIFIERS)
    return has_identifier and (is_schema or not schema.keys().isdisjoint(_REFERENCES))

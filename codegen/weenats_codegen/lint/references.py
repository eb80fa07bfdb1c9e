"""Every `$ref` must refer to a schema, and not only to other `$ref`s in a circle."""

from collections.abc import Iterator

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic
from weenats_codegen.parser.refs import target
from weenats_codegen.parser.source import Source
from weenats_codegen.parser.walk import Node, walk


def check_references(source: Source, schema: Node) -> Iterator[Diagnostic]:
    """Yield the `$ref`s in a schema that refer to no schema."""
    for part in walk(schema):
        if part.ref is None:
            continue
        location = part.location.child("$ref")
        try:
            # The reader reports the files that it could not read.
            if target(source.folder, location, part.ref).file in source.files:
                source.resolve(location, part.ref)
        except ContractError as error:
            yield from error.diagnostics

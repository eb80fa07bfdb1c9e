"""Every `$ref` must lead to a schema, and not only to further `$ref`s in a circle.

What a `$ref` may look like, and files that cannot be read, are found while loading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats_codegen.lint import keywords
from weenats_codegen.parser.diagnostics import ContractError, shown
from weenats_codegen.parser.refs import RefusedReferenceError, target
from weenats_codegen.parser.syntax import Flaw
from weenats_codegen.parser.walk import contract_schemas, references, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from weenats_codegen.parser.source import Document, Source


def check_references(source: Source, document: Document) -> Iterator[Flaw]:
    """Yield the `$ref`s of a document that lead nowhere."""
    if document is source.root:
        places = list(contract_schemas(document.data))
    else:
        places = list(walk(document.data, ""))[:1]
    for place in places:
        for pointer, ref in references(place.value, place.pointer):
            if isinstance(ref, str):
                yield from _check(source, document, pointer, ref)


def resolved(source: Source, document: Document, schema: JsonValue) -> tuple[Document, JsonValue]:
    """Follow `$ref`s until there is none; one that never ends at a schema leads to None."""
    document, schema, _ = _end(source, document, schema)
    return document, schema


def is_circular(source: Source, document: Document, ref: str) -> bool:
    """Return whether a `$ref` leads to further `$ref`s only, round in a circle."""
    return _end(source, document, {"$ref": ref})[2]


def _end(source: Source, document: Document, schema: JsonValue) -> tuple[Document, JsonValue, bool]:
    """Follow `$ref`s; tell also whether they go round in a circle."""
    seen: set[tuple[str, str]] = set()
    while isinstance(schema, dict) and isinstance(ref := schema.get("$ref"), str):
        try:
            document, pointer, schema = source.resolve(document, ref)
        except ContractError:
            return document, None, False
        place = (document.shown, pointer)
        if place in seen:
            return document, None, True
        seen.add(place)
    return document, schema, False


def _check(source: Source, document: Document, pointer: str, ref: str) -> Iterator[Flaw]:
    try:
        where = target(document.path, ref)
    except RefusedReferenceError:
        return  # noted while loading
    is_root = where.path == source.root.path
    if not is_root and where.path.as_posix() not in source.documents:
        return  # noted while loading
    if is_root and not where.pointer:
        yield Flaw(
            pointer,
            f"the $ref {shown(ref)} leads to {where.path}, which is no schema",
            "refer to '#/$defs/NAME', or to a file of its own",
        )
        return
    try:
        _, inside, schema = source.resolve(document, ref)
    except ContractError:
        yield Flaw(
            pointer,
            f"the $ref {shown(ref)} leads nowhere",
            f"add {where.pointer.rpartition('/')[2]} to the $defs of {where.path}, "
            "or correct the $ref",
        )
        return
    if not inside and isinstance(schema, dict) and keywords.is_library(schema):
        yield Flaw(
            pointer,
            f"the $ref {shown(ref)} leads to a file of definitions, which is no schema itself",
            "refer to one of its $defs, as in 'file.json#/$defs/NAME'",
        )
        return
    if is_circular(source, document, ref):
        yield Flaw(
            pointer,
            f"the $ref {shown(ref)} leads round in a circle of $refs",
            "write the schema out at one of them",
        )

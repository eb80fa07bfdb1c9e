"""References in service.yaml that no message needs: they must lead to a schema all the same."""

from collections.abc import Iterator

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic
from weenats_codegen.parser.dialects import Ref, translated
from weenats_codegen.parser.source import Source


def check_references(source: Source) -> Iterator[Diagnostic]:
    """Yield the references in service.yaml that lead to no schema.

    Schema files may have others: what no message needs may be missing there.
    """
    for place in source.resources.schemas:
        if place.node.location.file != source.root.location.file or not place.node.mapping:
            continue
        ref = translated(place.node, place.context.dialect).get("$ref")
        if isinstance(ref, Ref):
            try:
                source.resources.resolve(place.context, ref)
            except ContractError as error:
                yield from error.diagnostics

"""A contract -> every error in it, all at once."""

from typing import Final

from weenats_codegen.ir.bundle import Bundle
from weenats_codegen.lint import operations
from weenats_codegen.lint.aggregates import check_keys, former_aggregate
from weenats_codegen.lint.names import check_names
from weenats_codegen.lint.references import check_references
from weenats_codegen.lint.schemas import check_schema
from weenats_codegen.lint.shape import check_shape
from weenats_codegen.lint.text import check_descriptions
from weenats_codegen.parser.diagnostics import Diagnostic
from weenats_codegen.parser.source import Source

_OF_CONTRACT: Final = (
    check_shape,
    check_names,
    check_descriptions,
    operations.check_rate_limits,
    operations.check_declared,
    operations.check_package,
)


def lint(source: Source, bundle: Bundle) -> list[Diagnostic]:
    """Return every error in a contract, sorted.

    Args:
        source: The contract; the errors that were found while reading it are included.
        bundle: Its schemas; the errors in their references are included.
    """
    former = former_aggregate(source.root)
    if former is not None:  # what else it breaks follows from it
        return [former]
    found = {*bundle.diagnostics, *check_references(source), *check_keys(source.root, bundle)}
    found.update(source.resources.diagnostics)
    for check in _OF_CONTRACT:
        found.update(check(source.root))
    for place in source.resources.schemas:
        found.update(check_schema(place))
    return sorted(found)

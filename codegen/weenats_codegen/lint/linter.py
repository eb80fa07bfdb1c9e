"""A contract -> every error in it, all at once."""

from typing import Final

from weenats_codegen.ir.bundler import Bundler
from weenats_codegen.lint import operations
from weenats_codegen.lint.depth import check_depth
from weenats_codegen.lint.names import check_names
from weenats_codegen.lint.references import check_references
from weenats_codegen.lint.schemas import check_schema, check_valid
from weenats_codegen.lint.shape import check_shape
from weenats_codegen.lint.text import check_descriptions
from weenats_codegen.lint.unions import check_unions
from weenats_codegen.parser.diagnostics import Diagnostic
from weenats_codegen.parser.source import Source
from weenats_codegen.parser.walk import contract_schemas

_OF_CONTRACT: Final = (
    check_shape,
    operations.check_rate_limits,
    operations.check_declared,
    operations.check_package,
    check_descriptions,
)


def lint(source: Source, bundle: Bundler) -> list[Diagnostic]:
    """Return every error in a contract, sorted.

    Args:
        source: The contract; the errors that were found while reading it are included.
        bundle: Its schemas.
    """
    root = source.root
    found = [*source.diagnostics, *operations.check_models(source)]
    for check in _OF_CONTRACT:
        found += check(root)
    invalid: list[Diagnostic] = []
    for file in source.files.values():
        is_file = file is not root
        for schema in [file] if is_file else contract_schemas(root):
            invalid += check_valid(schema)
            found += check_references(source, schema)
            found += check_schema(schema, is_file=is_file)
            found += check_unions(source, schema)
    found += check_names(root, None if invalid else bundle)
    if not invalid:
        found += check_depth(bundle)
    return sorted({*found, *invalid})

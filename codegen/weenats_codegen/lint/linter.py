"""A contract -> all that is wrong with it, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats_codegen.lint.limits import check_limits
from weenats_codegen.lint.models import check_models
from weenats_codegen.lint.names import check_names
from weenats_codegen.lint.operations import check_declared, check_package
from weenats_codegen.lint.references import check_references
from weenats_codegen.lint.schemas import check_schema, check_valid
from weenats_codegen.lint.shape import check_shape
from weenats_codegen.lint.text import check_descriptions
from weenats_codegen.lint.unions import check_unions
from weenats_codegen.parser.walk import Place, contract_schemas

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weenats_codegen.parser.diagnostics import Problem
    from weenats_codegen.parser.source import Document, Source
    from weenats_codegen.parser.syntax import Flaw

_OF_CONTRACT: Final = (check_shape, check_limits, check_declared, check_package, check_descriptions)


def lint(source: Source) -> list[Problem]:
    """Return every problem of a contract, those met while reading it included; sorted."""
    root = source.root
    problems = list(source.problems)
    for check in _OF_CONTRACT:
        problems += _problems(root, check(root.data))
    problems += _problems(root, check_models(source))
    invalid: list[Problem] = []
    for document in (root, *source.documents.values()):
        problems += _problems(document, check_references(source, document))
        is_file = document is not root
        for place in [Place("", document.data)] if is_file else contract_schemas(root.data):
            invalid += _problems(document, check_valid(place))
            problems += _problems(document, check_schema(place, is_file=is_file))
            problems += _problems(document, check_unions(source, document, place))
    problems += check_names(source, with_models=not invalid)
    return sorted({*problems, *invalid})


def _problems(document: Document, flaws: Iterable[Flaw]) -> list[Problem]:
    return [document.problem(*flaw) for flaw in flaws]

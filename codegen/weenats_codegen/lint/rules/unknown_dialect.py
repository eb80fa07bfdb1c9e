"""Schemas whose `$schema` names a dialect that is not known."""

from collections.abc import Iterable
from typing import Final

from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic


def _check(subject: Subject) -> Iterable[Diagnostic]:
    return sorted(set(subject.source.resources.notes))


UNKNOWN_DIALECT: Final = Rule(
    id="unknown-dialect",
    level="warning",
    summary="a $schema names a dialect that is not known",
    why="""\
Keywords mean different things in the drafts of JSON Schema. A schema of a dialect that is not known
is read as 2020-12, which may be another meaning than the one that its author had in mind: an array
of items, a $ref with other keywords beside it, or a keyword of a vocabulary of its own. The
meta-schema of a private dialect may be in the contract's folder; then its $schema counts.""",
    wrong="""\
queries:
  size:
    description: Show how large it is.
    result: {$schema: 'https://example.com/schemas/house-style', type: integer}""",
    right="""\
queries:
  size:
    description: Show how large it is.
    result: {$schema: 'https://json-schema.org/draft/2020-12/schema', type: integer}""",
    check=_check,
)

"""Declared errors that no operation names."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic
from weenats_codegen.parser.walk import entries


def _check(subject: Subject) -> Iterator[Diagnostic]:
    named = {
        str(item.value)
        for section in ("commands", "queries")
        for operation in entries(subject.root, section)
        for item in operation.node.get("errors").items
    }
    for error in entries(subject.root, "errors"):
        if error.name not in named:
            yield error.node.diagnostic(
                "is an error of no operation",
                f"add errors: [{error.name}] to the operations that end with it, or remove it",
            )


UNUSED_ERROR: Final = Rule(
    id="unused-error",
    level="warning",
    summary="no operation names a declared error",
    why="""\
Clients learn from the errors of an operation what they have to handle. One that no operation names
is either dead, or a surprise: generated clients do not document it.""",
    wrong="""\
queries:
  size:
    description: Show how large it is.
    result: {type: integer}
errors:
  not-measured:
    code: FAILED_PRECONDITION
    description: It was not measured yet.""",
    right="""\
queries:
  size:
    description: Show how large it is.
    result: {type: integer}
    errors: [not-measured]
errors:
  not-measured:
    code: FAILED_PRECONDITION
    description: It was not measured yet.""",
    check=_check,
)

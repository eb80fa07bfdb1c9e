"""oneOf whose branches may both match."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen.ir.shapes.branches import are_exclusive
from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic

_MESSAGE: Final = "a value may match several branches, and is then refused"
_REMEDY: Final = "give each branch a required member with a const of its own, or use anyOf"


def _check(subject: Subject) -> Iterator[Diagnostic]:
    for part in subject.parts:
        branches = part.schema.get("oneOf")
        if isinstance(branches, list) and not are_exclusive(branches, subject.conjoiner):
            yield Diagnostic(part.location.child("oneOf"), _MESSAGE, _REMEDY)


AMBIGUOUS_ONE_OF: Final = Rule(
    id="ambiguous-one-of",
    level="warning",
    summary="branches of a oneOf do not exclude one another",
    why="""\
oneOf refuses what matches two branches, so that a value that is right for one of them may fail
because of another. Adding a member to one branch changes what the others mean. Branches exclude one
another if they are of different types, or require a member with a const or enum of its own.""",
    wrong="""\
events:
  moved:
    description: It is somewhere else.
    data:
      oneOf:
        - type: object
          required: [city]
          properties: {city: {type: string, description: Where.}}
        - type: object
          required: [ship]
          properties: {ship: {type: string, description: Which.}}""",
    right="""\
events:
  moved:
    description: It is somewhere else.
    data:
      oneOf:
        - type: object
          required: [kind, city]
          properties: {kind: {const: city}, city: {type: string, description: Where.}}
        - type: object
          required: [kind, ship]
          properties: {kind: {const: ship}, ship: {type: string, description: Which.}}""",
    check=_check,
)

"""Members and aggregates without a description."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen.ir.bundle import PREFIX
from weenats_codegen.lint.parts import Part, Position
from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic
from weenats_codegen.parser.walk import owners

_REMEDY: Final = "add description: what it means, and its unit"


def _check(subject: Subject) -> Iterator[Diagnostic]:
    for name, aggregate in owners(subject.root):
        if name and not aggregate.get("description").value:
            yield aggregate.diagnostic("has no description", "add description")
    for part in subject.parts:
        is_member = part.member and part.position is Position.VALUE
        if is_member and not _is_described(subject, part):
            yield Diagnostic(part.location, f"the member {part.member} has no description", _REMEDY)


def _is_described(subject: Subject, part: Part) -> bool:
    schema: object = part.schema
    seen: set[str] = set()
    while isinstance(schema, dict):
        if schema.get("description") or schema.get("const") is not None:
            return True
        name = str(schema.get("$ref", "")).removeprefix(PREFIX)
        if not name or name in seen:
            return False
        seen.add(name)
        schema = subject.bundle.definitions.get(name)
    return False


MISSING_DESCRIPTION: Final = Rule(
    id="missing-description",
    level="warning",
    summary="a member or an aggregate has no description",
    why="""\
Descriptions become docstrings, the hints of editors and the pages of `weenats docs`. Units,
currencies, time zones and what absence means cannot be seen from a name, and are asked for by each
new client. The description of the schema that a $ref leads to counts; a const needs none.""",
    wrong="""\
queries:
  distance:
    description: Show how far it has gone.
    result:
      type: object
      required: [distance]
      properties:
        distance: {type: number}""",
    right="""\
queries:
  distance:
    description: Show how far it has gone.
    result:
      type: object
      required: [distance]
      properties:
        distance: {type: number, description: 'In kilometers, since the last inspection.'}""",
    check=_check,
)

"""Schemas that do not say of which type a value is."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic

_SAY_TYPES: Final = frozenset({"$ref", "type", "enum", "const", "allOf", "anyOf", "oneOf", "not"})


def _check(subject: Subject) -> Iterator[Diagnostic]:
    for part in subject.parts:
        if part.is_value and part.schema.keys().isdisjoint(_SAY_TYPES):
            yield Diagnostic(
                part.location,
                "allows values of any type",
                "add type, or write true if that is meant",
            )


UNTYPED_SCHEMA: Final = Rule(
    id="untyped-schema",
    level="warning",
    summary="a schema does not say of which type a value is",
    why="""\
Keywords such as properties, maxLength or minimum only apply to values of their own type: without a
type, any other value passes. The type in Python is JsonValue or a long union, and adding a type
later breaks whoever relies on the others.""",
    wrong="""\
queries:
  find:
    description: Find one by its name.
    result:
      description: What was found.
      required: [name]
      properties:
        name: {type: string, description: What people call it.}""",
    right="""\
queries:
  find:
    description: Find one by its name.
    result:
      description: What was found.
      type: object
      required: [name]
      properties:
        name: {type: string, description: What people call it.}""",
    check=_check,
)

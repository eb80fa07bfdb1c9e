"""Objects of requests whose members have any names, and may be any number."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic


def _check(subject: Subject) -> Iterator[Diagnostic]:
    for part, keywords in subject.requested:
        others = keywords.get("additionalProperties")
        is_map = isinstance(others, dict) or "patternProperties" in keywords
        if is_map and "maxProperties" not in keywords:
            yield Diagnostic(
                part.location, "has any number of members in a request", "add maxProperties"
            )


UNBOUNDED_MAP: Final = Rule(
    id="unbounded-map",
    level="warning",
    summary="an object of a request may have any number of members of any name",
    why="""\
An object whose members have a schema but no fixed names is a map, which grows like an array: see
unbounded-array.""",
    wrong="""\
commands:
  set-labels:
    description: Replace the labels.
    payload:
      type: object
      additionalProperties: {type: string, maxLength: 200}""",
    right="""\
commands:
  set-labels:
    description: Replace the labels.
    payload:
      type: object
      maxProperties: 50
      additionalProperties: {type: string, maxLength: 200}""",
    check=_check,
)

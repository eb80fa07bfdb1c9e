"""Members that are required and not declared."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, cast

from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic, closest, quoted

if TYPE_CHECKING:
    from weenats_codegen.ir.bundle import Schema

_ELSEWHERE: Final = frozenset({
    "if", "then", "else", "dependentSchemas", "patternProperties",
})  # fmt: skip
"""The keywords that may declare members besides `properties` and choices."""
_MAX_MEANT: Final = 20
"""For how many names of a schema a similar one is looked for, which compares it with all."""


def _check(subject: Subject) -> Iterator[Diagnostic]:
    for part in subject.parts:
        if not part.is_value or "required" not in part.schema:
            continue
        whole = subject.conjoiner.conjoin(part.schema, lambda _: None)
        keywords = whole.keywords
        members = keywords.get("properties")
        if (
            not isinstance(members, dict)
            or whole.choices
            or not _ELSEWHERE.isdisjoint(keywords)
            or isinstance(keywords.get("additionalProperties"), dict)
        ):
            continue
        required = enumerate(cast("list[str]", part.schema["required"]))
        undeclared = [(index, name) for index, name in required if name not in members]
        for at, (index, name) in enumerate(undeclared):
            meant = closest(name, cast("Schema", members)) if at < _MAX_MEANT else None
            yield Diagnostic(
                part.location.child("required", index),
                f"requires the member {quoted(name)}, which it does not declare",
                f"did you mean {meant}?" if meant else "add it to properties",
            )


UNDECLARED_REQUIRED: Final = Rule(
    id="undeclared-required",
    level="warning",
    summary="a member is required, and not in properties",
    why="""\
Most often it is a typing error: every message then needs a member that has no schema. The model
has no attribute for it, so that its constructor fails for a reason that type checkers do not see.
If any value is meant, write `true` as its schema in properties.""",
    wrong="""\
commands:
  rename:
    description: Give it another name.
    payload:
      type: object
      required: [nmae]
      properties:
        name: {type: string, maxLength: 200, description: What people call it.}""",
    right="""\
commands:
  rename:
    description: Give it another name.
    payload:
      type: object
      required: [name]
      properties:
        name: {type: string, maxLength: 200, description: What people call it.}""",
    check=_check,
)

"""Examples and defaults that their own schema refuses."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen.ir.validity import refusal
from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic, Location


def _check(subject: Subject) -> Iterator[Diagnostic]:
    found: dict[Location, str | None] = {}
    for part in subject.parts:
        examples = part.schema.get("examples")
        values = [
            (part.location.child("examples", index), value)
            for index, value in enumerate(examples if isinstance(examples, list) else [])
        ]
        if "default" in part.schema:
            values.append((part.location.child("default"), part.schema["default"]))
        for place, value in values:
            # One schema may have a variant for requests: an example is for either of them.
            if found.get(place, "") is not None:
                found[place] = refusal(subject.bundle, part.schema, value)
    for place, reason in found.items():
        if reason is not None:
            kind = "default" if place.pointer.endswith("/default") else "example"
            yield Diagnostic(
                place, f"the {kind} is not valid: {reason}", f"correct the {kind}, or the schema"
            )


INVALID_EXAMPLE: Final = Rule(
    id="invalid-example",
    level="warning",
    summary="an example or a default does not match its own schema",
    why="""\
Readers copy examples, `weenats mock` answers with them, and generated tests call handlers with
them. One that the schema refuses is useless for all of them, and often shows that the schema is
wrong.""",
    wrong="""\
queries:
  status:
    description: Show how it is.
    result: {enum: [open, closed], examples: [opened]}""",
    right="""\
queries:
  status:
    description: Show how it is.
    result: {enum: [open, closed], examples: [open]}""",
    check=_check,
)

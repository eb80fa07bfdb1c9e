"""Replies and events that refuse members which are added later."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic
from weenats_codegen.parser.pages import is_paged
from weenats_codegen.parser.walk import entries

_CLOSING: Final = ("additionalProperties", "unevaluatedProperties")
_ROLES: Final = {"reply": "a reply", "event": "an event", "details": "an error"}


def _check(subject: Subject) -> Iterator[Diagnostic]:
    found: dict[object, Diagnostic] = {}
    pages = {
        entry.node.location.child("result")
        for entry in entries(subject.root, "queries")
        if is_paged(entry.node)
    }  # their results are closed by the format of contracts
    requested = {part.location for part in subject.parts if part.role == "request"}
    for part in subject.parts:
        if part.location in pages:
            continue
        for keyword in _CLOSING:
            if part.role in _ROLES and part.schema.get(keyword) is False and part.is_alternative:
                place = part.location.child(keyword)
                found.setdefault(
                    place,
                    Diagnostic(
                        place,
                        f"closes {_ROLES[part.role]}: a member that is added later breaks clients",
                        f"requests have this schema too: give {_ROLES[part.role]} one of its own,"
                        f" without {keyword}"
                        if part.location in requested
                        else f"remove {keyword} here; keep it in requests",
                    ),
                )
    yield from found.values()


CLOSED_REPLY: Final = Rule(
    id="closed-reply",
    level="warning",
    summary="a reply, an event or the details of an error cannot grow",
    why="""\
Clients check what they receive against the contract that they were generated from. One whose reply
has `additionalProperties: false` refuses a reply with a new member, so that the service can never
add one before all clients are updated. In requests it is right: misspelled members are found.""",
    wrong="""\
queries:
  size:
    description: Show how large it is.
    result:
      type: object
      required: [meters]
      additionalProperties: false
      properties:
        meters: {type: number, description: Its length.}""",
    right="""\
queries:
  size:
    description: Show how large it is.
    result:
      type: object
      required: [meters]
      properties:
        meters: {type: number, description: Its length.}""",
    check=_check,
)

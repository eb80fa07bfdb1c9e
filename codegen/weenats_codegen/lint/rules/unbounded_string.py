"""Strings of requests that may have any length."""

import re
from collections.abc import Iterator
from typing import Final

from weenats_codegen.ir.bundle import Schema
from weenats_codegen.lint.rule import Rule, Subject, names_type
from weenats_codegen.parser.diagnostics import Diagnostic

_SHORT_FORMATS: Final = frozenset({
    "date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid",
})  # fmt: skip
_CLASSES: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]")
_REPEATS: Final = re.compile(r"[*+]|,\}")


def _check(subject: Subject) -> Iterator[Diagnostic]:
    for part, keywords in subject.requested:
        if names_type(keywords, "string") and not _is_bounded(keywords):
            yield Diagnostic(
                part.location, "is a string of any length in a request", "add maxLength"
            )


def _is_bounded(keywords: Schema) -> bool:
    pattern = keywords.get("pattern")
    return (
        not keywords.keys().isdisjoint({"maxLength", "enum"})
        or keywords.get("format") in _SHORT_FORMATS
        or (isinstance(pattern, str) and _is_finite(pattern))
    )


def _is_finite(pattern: str) -> bool:
    """Return whether it is plain that a pattern matches no text of any length."""
    rest = _CLASSES.sub("", pattern)
    return (
        rest.startswith("^")
        and rest.endswith("$")
        and "|" not in rest
        and not (_REPEATS.search(rest))
    )


UNBOUNDED_STRING: Final = Rule(
    id="unbounded-string",
    level="warning",
    summary="a string of a request may have any length",
    why="""\
Callers choose the length, up to the largest message of the NATS server. Whatever stores or shows
the text has a limit of its own, and fails there, late and for everybody. A limit that is added
later breaks callers that send more. Strings with an enum, a const, a short format (uuid, date,
email ...) or a pattern without repetition have a limit already.""",
    wrong="""\
commands:
  rename:
    description: Give it another name.
    payload:
      type: object
      required: [name]
      properties:
        name: {type: string, description: The new name.}""",
    right="""\
commands:
  rename:
    description: Give it another name.
    payload:
      type: object
      required: [name]
      properties:
        name: {type: string, maxLength: 200, description: The new name.}""",
    check=_check,
)

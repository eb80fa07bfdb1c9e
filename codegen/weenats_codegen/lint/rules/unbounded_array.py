"""Arrays of requests that may have any number of items."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen.lint.rule import Rule, Subject, names_type
from weenats_codegen.parser.diagnostics import Diagnostic


def _check(subject: Subject) -> Iterator[Diagnostic]:
    for part, keywords in subject.requested:
        is_tuple = "prefixItems" in keywords and keywords.get("items") is False
        is_bounded = is_tuple or not keywords.keys().isdisjoint({"maxItems", "enum"})
        if names_type(keywords, "array") and not is_bounded:
            yield Diagnostic(
                part.location, "is an array of any length in a request", "add maxItems"
            )


UNBOUNDED_ARRAY: Final = Rule(
    id="unbounded-array",
    level="warning",
    summary="an array of a request may have any number of items",
    why="""\
One request may then take as long, and as much memory, as a million others. A limit that is added
later breaks callers that send more; callers of a service with a limit send several requests.""",
    wrong="""\
commands:
  import-names:
    description: Add several names at once.
    payload:
      type: array
      items: {type: string, maxLength: 200}""",
    right="""\
commands:
  import-names:
    description: Add several names at once.
    payload:
      type: array
      maxItems: 100
      items: {type: string, maxLength: 200}""",
    check=_check,
)
